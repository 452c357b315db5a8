"""Views that the step makes on its device are those of the host's pipeline."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.augmentation import on_device
from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import EncodedSource, array_source
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.training import build
from and_tf.training.optimizers import TorchSGD
from and_tf.training.settings import experiment_settings

N, BATCH, PER_EPOCH = 21, 8, 3  # the last batch has 5 images
FULL = AugmentationSettings(image_size=10, flip=True)
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 10, 10, 3), "uint8")
SOURCE = array_source(PIXELS, name="noise")
TOLERANCE = 1e-3  # of 255


def pipeline(yields, step=0, source=SOURCE):
    return train_pipeline(source, BATCH, FULL, 5, step, yields)


def maker(yields):
    return {"images": on_device.from_images(FULL), "noise": on_device.from_noise(PIXELS, FULL)}[
        yields
    ]


ways = pytest.mark.parametrize(
    ("yields", "jit_compile"), [("images", False), ("noise", False), ("noise", True)]
)


@ways
def test_images_made_on_the_device_are_those_of_the_host(yields, jit_compile):
    make = tf.function(maker(yields), jit_compile=jit_compile, reduce_retracing=True)
    for step in (0, PER_EPOCH + 1):  # from the start, and continued within the next epoch
        pairs = zip(pipeline("augmented", step), pipeline(yields, step), strict=True)
        for (expected, indices), (inputs, same) in pairs:
            np.testing.assert_array_equal(indices, same)
            found = make(inputs, same)
            assert found.dtype == tf.float32
            np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_nothing_but_numbers_is_sent_where_the_device_holds_the_images():
    unread = array_source(PIXELS, name="noise")
    unread.load_crops = lambda *arguments: pytest.fail("the host read images")
    sizes = []
    for noise, indices in pipeline("noise", source=unread):
        assert noise.dtype == tf.float32 and indices.dtype == tf.int64
        sizes.append((len(noise), len(indices)))
    assert sizes == [(8, 8), (8, 8), (5, 5)]


def test_images_are_sent_as_bytes():
    for (images, noise), indices in pipeline("images"):
        assert images.dtype == tf.uint8 and len(noise) == len(indices)
        np.testing.assert_array_equal(images, PIXELS[indices.numpy()])


def test_photos_are_sent_as_crops_with_noise_that_crops_no_more():
    rng = np.random.default_rng(1)
    photos = array_source(rng.integers(0, 256, (N, 15, 20, 3), "uint8"))
    pairs = zip(pipeline("augmented", 0, photos), pipeline("images", 0, photos), strict=True)
    for (expected, _), (inputs, same) in pairs:
        assert inputs[0].shape[1:] == (10, 10, 3)
        np.testing.assert_allclose(maker("images")(inputs, same), expected, atol=TOLERANCE)


def test_what_a_pipeline_cannot_yield_is_refused():
    with pytest.raises(ValueError, match="yields='pixels'"):
        pipeline("pixels")


def model_of(strategy, yields="augmented", jit_compile=False):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        x = images = keras.Input((10, 10, 3))
        x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
        x = keras.layers.Conv2D(4, 3, strides=2)(x)
        x = keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.ReLU()(x)))
        model = AND(keras.Model(images, keras.layers.UnitNormalization()(x)), N, seed=0)
        model.compile(
            TorchSGD(0.05, momentum=0.9, nesterov=True),
            jit_compile=jit_compile,
            make_images=None if yields == "augmented" else maker(yields),
        )
    return model


def trained(strategy, yields="augmented", jit_compile=False):
    """A model after two epochs."""
    model = model_of(strategy, yields, jit_compile)
    data = pipeline(yields, model.optimizer.iterations)
    model.fit(data, epochs=2, verbose=0, shuffle=False)
    return model


def assert_equal(model, other):
    np.testing.assert_allclose(model.bank.rows.numpy(), other.bank.rows.numpy(), atol=1e-4)
    for ours, theirs in zip(model.encoder.get_weights(), other.encoder.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.system
@ways
def test_training_is_that_of_the_host(yields, jit_compile):
    here = tf.distribute.get_strategy()
    assert_equal(trained(here, yields, jit_compile), trained(here))


def test_a_continued_run_is_that_of_the_host():
    here = tf.distribute.get_strategy()
    model, rest = model_of(here, "noise"), model_of(here, "noise")
    model.fit(pipeline("noise"), verbose=0, shuffle=False)
    rest.fit(pipeline("noise").take(1), verbose=0, shuffle=False)
    rest.fit(pipeline("noise", step=1), verbose=0, shuffle=False)
    assert_equal(rest, model)


def test_two_replicas_augment_what_is_sent_to_each(two_replicas):
    assert_equal(trained(two_replicas, "images"), trained(tf.distribute.get_strategy()))


def test_a_saved_model_expects_images(tmp_path):
    trained(tf.distribute.get_strategy(), "noise").save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    history = again.fit(pipeline("augmented"), verbose=0, shuffle=False).history
    assert np.isfinite(history["loss"]).all()
    with pytest.raises((ValueError, TypeError)):  # noise is not images
        again.fit(pipeline("noise"), verbose=0, shuffle=False)


ENCODED = EncodedSource([b"1", b"2"], "files")


@pytest.mark.parametrize(
    ("gpus", "flag", "source", "settings", "expected"),
    [
        ([], "auto", SOURCE, {}, "augmented"),
        (["a"], "auto", SOURCE, {}, "noise"),
        (["a"], "host", SOURCE, {}, "augmented"),
        ([], "device", SOURCE, {}, "noise"),
        ([], "device", ENCODED, {}, "images"),
        ([], "device", SOURCE, {"cache_mb": 0}, "images"),
        ([], "device", SOURCE, {"image_size": 12}, "images"),
        ([], "device", SOURCE, {"strategy": "mirrored"}, "images"),
    ],
)
def test_the_device_holds_images_that_fit(monkeypatch, gpus, flag, source, settings, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    given = experiment_settings({"image_size": 10, "augment_on": flag} | settings)
    assert build._yields(given, source) == expected


def test_more_images_than_a_gpu_holds_are_sent(monkeypatch):
    monkeypatch.setattr(build, "HELD_BYTES", PIXELS.nbytes - 1)
    given = experiment_settings({"image_size": 10, "augment_on": "device"})
    assert build._yields(given, SOURCE) == "images"
