"""Methods beside AND: what they build, hold and leave out."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.settings import BankSettings
from and_tf.data.sources.source import array_source
from and_tf.encoders.build import build_encoder
from and_tf.methods import METHODS
from and_tf.methods.anchor_neighbourhoods.method import AnchorNeighbourhoods
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.instance import Instance
from and_tf.methods.instance_model import InstanceModel
from and_tf.methods.method import NEIGHBOURHOOD_ARRAYS, TrainingContext
from and_tf.methods.method_model import MethodModel
from and_tf.settings import build as from_values
from and_tf.training.optimizers import TorchSGD

N, D, BATCH = 20, 5, 8


def encoder():
    images = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 128, offset=-1)(images))
    return keras.Model(images, keras.layers.UnitNormalization()(keras.layers.Dense(D)(x)))


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3)).astype("float32")


def build(split=False):
    """What a method makes its encoder of."""
    return build_encoder("resnet_small", (8, 8, 3), 4, split=True) if split else encoder()


def source():
    return array_source(images().astype("uint8"), labels=np.arange(N) % 3)


def context():
    return TrainingContext(source(), 3, 0, lambda model=None: np.zeros((N, D)))


def fit(model, **settings):
    model.compile(TorchSGD(0.05, momentum=0.9), **settings)
    model.fit(images(), np.arange(N), batch_size=BATCH, epochs=2, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(name):
    method = METHODS[name]()
    model = method.build_model(method.build_encoder(build), source(), seed=0)
    assert isinstance(model, MethodModel)
    assert method.title and method.published_name
    assert model.round_state().items() <= model.state().items()
    rows = model.image_embeddings()
    assert (rows is None) == (method.bank_array is None)
    if rows is not None:
        np.testing.assert_array_equal(model.state()[method.bank_array], rows)
        assert rows.shape == (N, D)
    assert set(method.neighbourhood_arrays) <= set(NEIGHBOURHOOD_ARRAYS)
    assert set(method.labelled_metrics) <= set(method.metric_titles)
    assert set(method.metric_meanings) <= set(method.metric_titles)
    assert all(isinstance(line, str) for line in model.describe_memory(BATCH))
    assert all(isinstance(c, keras.callbacks.Callback) for c in method.callbacks(context()))


@pytest.mark.parametrize(("jit_compile", "logits_mb"), [(True, 64), (False, 1e-4)])  # whole, blocks
def test_instance_is_and_without_anchors(jit_compile, logits_mb):
    models = []
    for cls in (InstanceModel, AND):
        keras.utils.set_random_seed(0)
        settings = {"temperature": 0.2, "rate": 0.4, "seed": 1, "logits_budget_mb": logits_mb}
        models.append(fit(cls(encoder(), N, **settings), jit_compile=jit_compile))
    ours, expected = models
    np.testing.assert_allclose(ours.image_embeddings(), expected.image_embeddings(), atol=1e-6)
    for one, other in zip(ours.encoder.weights, expected.encoder.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_instance_discovers_only_where_diagnostics_are_asked_for():
    assert Instance().callbacks(context()) == []
    assert set(Instance().build_model(encoder(), source(), 0).state()) == {"bank"}
    (callback,) = Instance(diagnostics=True).callbacks(context())
    assert callback.anchor_share == 0
    model = Instance(diagnostics=True).build_model(encoder(), source(), 0)
    assert set(Instance.neighbourhood_arrays) < set(model.round_state())
    assert set(model.round_state()) == {"neighbours", "is_anchor", "entropy", "round"}


@pytest.mark.parametrize("method", [AnchorNeighbourhoods(), Instance(diagnostics=True)])
def test_discovery_is_shared_by_the_processes_and_keeps_blocks(method):
    given = dataclasses.replace(context(), sharing=object(), discovery_blocks=object())
    (callback,) = method.callbacks(given)
    assert callback.sharing is given.sharing and callback.blocks is given.discovery_blocks


def test_instance_takes_the_settings_of_the_bank():
    bank = BankSettings(temperature=0.07, bank_rate=0.3, logits_mb=1)
    model = Instance(bank=bank).build_model(encoder(), source(), seed=3)
    assert (model.temperature, model.bank.rate, model.logits_budget_mb) == (0.07, 0.3, 1)
    again = InstanceModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_random_weights_keep_nothing_and_take_no_step():
    method = METHODS["random"]()
    assert not method.trains
    assert method.build_model(encoder(), source(), seed=0).state() == {}


class Classifier(MethodModel):
    """A method of ten lines: the class of an image is whether its index is even."""

    def __init__(self, encoder, num_samples, **kwargs):
        super().__init__(encoder, num_samples, **kwargs)
        self.head = keras.layers.Dense(2)
        self.head.build(encoder.output_shape)

    def losses_and_gradients(self, images, indices, weights):
        with tf.GradientTape() as tape:
            logits = self.head(self.encoder(images, training=True))
            losses = keras.losses.sparse_categorical_crossentropy(indices % 2, logits, True)
            loss = tf.reduce_sum(weights * losses)
        return losses, (), tape.gradient(loss, self.trainable_variables)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_method_needs_no_more_than_its_losses_and_gradients(jit_compile):
    model = Classifier(encoder(), N)
    head = model.head.kernel.numpy()
    model.compile(keras.optimizers.SGD(0.5), jit_compile=jit_compile)
    losses = model.fit(
        images(), np.arange(N), batch_size=BATCH, epochs=40, verbose=0, shuffle=False
    ).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert (model.head.kernel.numpy() != head).any()


@pytest.mark.parametrize(
    ("method", "values", "words"),
    [
        ("and", {}, ()),
        ("instance", {}, ()),
        ("deepcluster", {}, ()),
        ("instance", {"views": 2}, ("2 views",)),
        ("and", {"views": 2, "group_weight": 1.0}, ("2 views", "group weight 1")),
        ("and", {"entropy_weight": 0.2}, ("entropy weight 0.2",)),
        ("and", {"anchors": "random"}, ("random anchors",)),
        ("and", {"anchor_share": 0.5}, ("at most 50 % of the images as anchors",)),
        ("and", {"discovery_features": "clean"}, ("neighbours of clean images",)),
        ("and", {"neighbour_search": "faiss", "logits_mb": 5}, ()),
    ],
)
def test_a_method_names_what_it_changes_of_the_published_one(method, values, words):
    assert from_values(METHODS[method], values).variations == words
