"""A model is used as Keras users use one: any encoder, own data, evaluate, predict."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.bank.softmax import softmax_over_bank
from and_tf.errors import UserError
from and_tf.evaluation import accuracy, weighted_knn
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.instance_model import InstanceModel
from and_tf.training.optimizers import TorchSGD

N, D, SIDE = 20, 5, 8


def pixels(count=N, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3))
    return images.astype("float32")


class Subclassed(keras.Model):
    """Its rows are far from unit length."""

    def __init__(self):
        super().__init__()
        self.scale, self.dense = keras.layers.Rescaling(1 / 64, offset=-2), keras.layers.Dense(D)
        self.flat = keras.layers.Flatten()

    def call(self, images, training=None):
        return 10 * self.dense(self.flat(self.scale(images)))


def subclassed():
    encoder = Subclassed()
    encoder(pixels()[:1])
    return encoder


def compiled(encoder=None, cls=AND, **settings):
    model = cls(encoder or subclassed(), N, seed=0)
    model.compile(TorchSGD(0.05, momentum=0.9), **settings)
    return model


def fit(model, images=None, indices=None, **settings):
    images = pixels() if images is None else images
    indices = np.arange(N) if indices is None else indices
    return model.fit(images, indices, **({"batch_size": 8, "verbose": 0} | settings))


# Any encoder.


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_bank_and_predictions_are_unit_rows_whatever_the_encoder_gives(jit_compile):
    model = compiled(jit_compile=jit_compile)
    fit(model, epochs=3)
    for rows in (model.predict(pixels(), verbose=0), model(pixels()), model.image_embeddings()):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_an_encoder_of_other_lengths_trains_as_one_that_normalises_itself():
    losses = []
    for wraps in (False, True):
        keras.utils.set_random_seed(0)
        encoder = subclassed()
        if wraps:
            x = keras.Input((SIDE, SIDE, 3))
            encoder = keras.Model(x, keras.layers.UnitNormalization()(encoder(x)))
        losses.append(fit(compiled(encoder), epochs=4, shuffle=False).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_keras_applications_train_without_weights():
    network = keras.applications.MobileNet(
        weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3), alpha=0.25
    )
    model = compiled(network)
    images = np.random.default_rng(0).uniform(-1, 1, (N, 32, 32, 3)).astype("float32")
    assert np.isfinite(fit(model, images).history["loss"]).all()
    assert model.predict(images, verbose=0).shape == (N, network.output_shape[-1])


def test_a_model_around_any_encoder_is_saved_and_loaded(tmp_path):
    x = keras.Input((SIDE, SIDE, 3))
    encoder = keras.Model(x, keras.layers.Dense(D)(keras.layers.Flatten()(x)))
    model = compiled(encoder)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*(m.predict(pixels(), verbose=0) for m in (model, loaded)))
    np.testing.assert_array_equal(model.image_embeddings(), loaded.image_embeddings())


@pytest.mark.parametrize("name", ["loss", "metrics"])
def test_a_loss_or_metric_of_ones_own_is_refused_and_not_ignored(name):
    with pytest.raises(UserError, match=f"{name} is set by the method"):
        compiled(**{name: ["mse"]})


# Own data.

LABELS = np.arange(N) % 4


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(parts[0] if len(parts) == 1 else parts).batch(8)


WRONG_PARTS = [  # seen when a step is traced, compiled or not
    (dataset(pixels()), r"without indices.*np\.arange\(len\(images\)\)"),
    (dataset(pixels(), np.arange(N) / 2), "must be integers. Received float64"),
    (dataset(pixels(), np.eye(N, dtype=int)), r"one integer for each image.*\(None, 20\)"),
    (dataset(pixels(), np.arange(N), np.ones(N)), "sample_weight is not used"),
]
WRONG_VALUES = [  # seen when a step runs
    (dataset(pixels(), np.arange(N) + 1), r"Index 20 .* num_samples=20 allows 0 to 19"),
    (dataset(pixels(), np.arange(N) - 1), "Index -1 .* 0 to 19"),
    (dataset(pixels(), LABELS), "4 indices of a batch repeat.*class labels.*train_labels"),
]


@pytest.mark.parametrize(
    ("method", "data", "message", "jit_compile"),
    [("fit", *case, False) for case in WRONG_PARTS + WRONG_VALUES]
    + [("fit", *case, True) for case in WRONG_PARTS[:1] + WRONG_VALUES[-1:]]
    + [("evaluate", *case, False) for case in WRONG_PARTS[:1] + WRONG_VALUES[::2]]
    + [("evaluate", *WRONG_VALUES[0], True)],
)
def test_batches_without_proper_indices_are_refused_and_train_nothing(
    method, data, message, jit_compile
):
    model = compiled(jit_compile=jit_compile)
    weights = [w.numpy() for w in model.weights]
    with pytest.raises(UserError, match=message):
        getattr(model, method)(data.take(1) if "Index 20" not in message else data, verbose=0)
    assert "Index 20" in message or all(
        np.array_equal(a, b) for a, b in zip(weights, model.weights, strict=True)
    )
    if any(data is case[0] for case in WRONG_VALUES):  # no step of the others was even traced
        fit(model)  # it can go on


def test_indices_may_come_as_a_column_and_in_any_integer_type():
    histories = []
    for indices in (np.arange(N), np.arange(N, dtype="uint8")[:, None]):
        keras.utils.set_random_seed(0)
        model = compiled()
        histories.append(fit(model, None, indices, epochs=2, shuffle=False).history["loss"])
    assert histories[0] == histories[1]


# Evaluation.


@pytest.mark.parametrize("jit_compile", [False, True])
def test_evaluate_gives_the_mean_loss_against_the_bank_and_changes_nothing(jit_compile):
    model = compiled(cls=InstanceModel, jit_compile=jit_compile)
    fit(model)
    state = [v.numpy() for v in (*model.weights, *model.optimizer.variables)]
    found = model.evaluate(pixels(), np.arange(N), batch_size=7, return_dict=True, verbose=0)
    rows = model.image_embeddings()
    queries = model.predict(pixels(), verbose=0) / model.temperature
    log_total, _ = softmax_over_bank(tf.constant(rows), tf.constant(queries), N)
    expected = np.mean(log_total - np.sum(queries * rows, axis=1))
    assert set(found) == {"loss"} and found["loss"] == pytest.approx(expected, rel=1e-5)
    for before, after in zip(state, (*model.weights, *model.optimizer.variables), strict=True):
        np.testing.assert_array_equal(before, after)


def test_validation_data_gives_its_loss_beside_that_of_training():
    settings = {"epochs": 2, "shuffle": False}
    alone = fit(compiled(), **settings).history
    keras.utils.set_random_seed(0)
    both = fit(compiled(), validation_data=(pixels(), np.arange(N)), **settings).history
    assert set(both) == {"loss", "val_loss"}
    assert len(both["val_loss"]) == 2 and np.isfinite(both["val_loss"]).all()
    assert len(alone["loss"]) == 2


def test_labelled_images_give_knn_accuracy_against_the_bank():
    train_labels = np.where(np.arange(N) < 3, -1, LABELS)
    model = compiled(train_labels=train_labels)
    images, labels = pixels(11, seed=1), np.array([0, 1, 2, 3, -1, 0, 1, 2, 3, 0, 9])
    history = fit(model, validation_data=(images, labels[:, None]), validation_batch_size=4).history
    rows, queries = model.image_embeddings(), model.predict(images, verbose=0)
    expected = accuracy(weighted_knn(rows, train_labels, queries), labels)["top1"]
    assert set(history) == {"loss", "val_knn_top1_bank"}
    assert history["val_knn_top1_bank"] == [pytest.approx(expected)]
    assert 0 < expected < 100
    again = model.evaluate(images, labels, batch_size=3, return_dict=True, verbose=0)
    assert again == {"knn_top1_bank": pytest.approx(expected)}


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.arange(N - 1), "must be 20 integers.*shape \\(19,\\)"),
        (np.eye(N), "must be 20 integers.*float64 of shape \\(20, 20\\)"),
        (np.full(N, -1), "none is known"),
    ],
)
def test_labels_of_training_images_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        compiled(train_labels=labels)
