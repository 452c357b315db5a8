"""Two replicas train what one device trains: losses, weights, bank and neighbourhoods."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.pipeline import steps_per_epoch, train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.errors import StepNotFinite, UserError
from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.options import BankOptions
from and_tf.runs import checkpoint
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system

D, BATCH, ROUNDS, EPOCHS = 4, 8, 2, 2
OPTIONS = {"views": 2, "group_weight": 0.5, "entropy_weight": 0.2, "mutual_neighbours": True}


def encoder(kind):
    """With a BatchNorm over all replicas, with one in inference mode, or without convolution."""
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    if kind != "dense":  # oneDNN's convolution gives an empty batch a wrong shape
        x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
        norm = keras.layers.BatchNormalization(synchronized=kind == "synchronized", name="norm")
        norm.trainable = kind == "synchronized"  # False is inference mode
        x = keras.layers.ReLU()(norm(x))
    x = keras.layers.Dense(D, name="fc")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def pixels(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), "uint8")


def build(strategy, count, kind, **options):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = AND(encoder(kind), count, neighbourhood_size=2, seed=0, **options)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
    return model


@functools.cache
def train(strategy, count, kind, has_options=False):
    """A model after all rounds and its History; trained once for all tests."""
    model = build(strategy, count, kind, **OPTIONS if has_options else {})
    augmentation = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    steps = model.optimizer.iterations
    data = train_pipeline(
        array_source(pixels(count)), BATCH, augmentation, seed=3, step=steps, views=model.views
    )
    callbacks = [NeighbourhoodCurriculum(ROUNDS, EPOCHS, labels=np.arange(count) % 3)]
    callbacks += BankOptions(model.views, model.group_weight, model.entropy_weight).callbacks(
        callbacks[0].plan, steps_per_epoch(count, BATCH)
    )
    epochs = (ROUNDS + 1) * EPOCHS
    history = model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, shuffle=False)
    return model, history.history


def copies(strategy, variable):
    """The value of a variable on each replica."""
    return [value.numpy() for value in strategy.experimental_local_results(variable.value)]


# 21 images end in a batch of 5, split as 3 and 2; 17 in one of 1 image, with an empty replica.
@pytest.mark.parametrize(
    "count, kind, has_options",
    [
        (21, "inference", False),
        (21, "synchronized", True),
        (17, "dense", True),
    ],
)
def test_two_replicas_train_as_one_device(two_replicas, count, kind, has_options):
    two, history_of_two = train(two_replicas, count, kind, has_options)
    one, history = train(tf.distribute.get_strategy(), count, kind, has_options)
    assert history.keys() == history_of_two.keys()
    for name, values in history.items():
        np.testing.assert_allclose(history_of_two[name], values, rtol=1e-5, err_msg=name)
    assert history["anchors"][-1] == count
    assert int(two.optimizer.iterations.numpy()) == int(one.optimizer.iterations.numpy())
    expected = checkpoint.training_state(one)
    for name, variable in checkpoint.training_state(two).items():
        if name.startswith("loss/"):
            continue  # sums over replicas are in the history
        first, second = copies(two_replicas, variable)
        np.testing.assert_array_equal(first, second, err_msg=name)
        np.testing.assert_allclose(
            first, expected[name].numpy(), rtol=1e-5, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("bank_dtype", ["float32", "float16"])
def test_each_replica_updates_the_rows_of_both(two_replicas, bank_dtype):
    model = build(two_replicas, 21, kind="synchronized", bank_dtype=bank_dtype)
    start = model.bank.rows.numpy()
    images, indices = pixels(21)[:6].astype("float32"), np.array([20, 3, 7, 0, 11, 5])
    data = tf.data.Dataset.from_tensors((images, indices))
    model.fit(data, verbose=0, shuffle=False)
    first, second = copies(two_replicas, model.bank.rows)
    np.testing.assert_array_equal(first, second)
    changed = np.flatnonzero((first != start).any(axis=1))
    assert changed.tolist() == sorted(indices) and first.dtype == bank_dtype


def test_a_checkpoint_of_two_replicas_is_restored_on_both_and_on_one(two_replicas, tmp_path):
    path = tmp_path / "last.npz"
    trained, _ = train(two_replicas, 21, kind="synchronized")
    saved = {k: v.numpy() for k, v in checkpoint.training_state(trained).items()}
    checkpoint.save(path, checkpoint.training_state(trained), {})
    for where in (two_replicas, tf.distribute.get_strategy()):
        state = checkpoint.training_state(build(where, 21, kind="synchronized"))
        checkpoint.restore(state, checkpoint.load(path)[0], path)
        for name, variable in state.items():
            if name.startswith("loss/"):
                continue
            for copy in copies(where, variable):
                np.testing.assert_array_equal(copy, saved[name], err_msg=name)


def test_compiling_on_several_replicas_is_refused(two_replicas):
    with two_replicas.scope():
        model = AND(encoder("dense"), 21)
        with pytest.raises(ValueError, match="jit_compile works without a strategy"):
            model.compile(TorchSGD(0.1), jit_compile=True)


def test_a_step_that_is_not_finite_on_one_replica_stops_both(two_replicas):
    model = build(two_replicas, 21, kind="synchronized")
    images = pixels(21)[:6].astype("float32")
    images[5, 0, 0, 0] = np.nan  # the second replica's
    start = model.bank.rows.numpy()
    data = tf.data.Dataset.from_tensors((images, np.arange(6)))
    with pytest.raises(StepNotFinite, match="step 1"):
        model.fit(data, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.bank.rows.numpy(), start)


@pytest.mark.parametrize("steps", ["fit", "evaluate"])
def test_two_replicas_refuse_an_index_that_is_no_row(two_replicas, steps):
    model = build(two_replicas, 17, "dense")
    data = tf.data.Dataset.from_tensor_slices((pixels(17).astype("float32"), np.arange(1, 18)))
    with pytest.raises(UserError, match="Index 17 of a batch is not that"):
        getattr(model, steps)(data.batch(BATCH), verbose=0)
    assert int(model.optimizer.iterations.numpy()) == (2 if steps == "fit" else 0)


def test_two_replicas_evaluate_as_one_device(two_replicas):
    images, labels = pixels(17).astype("float32"), np.arange(17) % 3
    results = []
    for strategy in (two_replicas, tf.distribute.get_strategy()):
        model = build(strategy, 17, "dense")
        loss = model.evaluate(images, np.arange(17), batch_size=BATCH, return_dict=True, verbose=0)
        with strategy.scope():
            model.compile(TorchSGD(0.05), train_labels=labels)
        knn = model.evaluate(images, labels, batch_size=BATCH, return_dict=True, verbose=0)
        results.append(loss | knn)
    assert results[0] == pytest.approx(results[1], rel=1e-5)
    assert set(results[0]) == {"loss", "knn_top1_bank"}
