"""Any network becomes an encoder of unit rows, and one that is such an encoder stays itself."""

import keras
import numpy as np
import pytest

from and_tf.encoders import build_encoder
from and_tf.encoders.unit_output import has_unit_rows, with_unit_rows
from and_tf.errors import UserError


def images(side=16):
    return np.random.default_rng(0).integers(0, 256, (5, side, side, 3)).astype("float32")


def functional(end):
    x = keras.Input((16, 16, 3))
    return keras.Model(x, end(keras.layers.Conv2D(4, 3, strides=2)(x)), name="own")


def pooled(x):
    return keras.layers.Dense(6)(keras.layers.GlobalAveragePooling2D()(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()
        self.dense = keras.layers.Dense(6)

    def call(self, x, training=None):
        return self.dense(keras.ops.mean(self.norm(self.conv(x), training=training), axis=(1, 2)))


def sequential():
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers, keras.layers.Dense(6)])


def called(model):
    model(images())
    return model


def normalised(encoder):
    rows = np.asarray(encoder(images(), training=False))
    rows = rows.mean(axis=(1, 2)) if rows.ndim == 4 else rows
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "build",
    [
        lambda: functional(pooled),
        lambda: functional(lambda x: x),  # a map, averaged over its places
        sequential,
        lambda: called(Subclassed()),
        lambda: called(keras.Sequential([Subclassed(), keras.layers.Dense(3)])),
        lambda: functional(lambda x: keras.layers.Dense(3, name="embedding")(pooled(x))),
        lambda: functional(
            lambda x: keras.layers.Activation("linear", name="embedding")(pooled(x))
        ),
        lambda: functional(lambda x: keras.layers.UnitNormalization()(pooled(x)) * 2.0),
    ],
)
def test_rows_become_unit_rows_of_the_same_direction(build):
    encoder = build()
    unit = with_unit_rows(encoder)
    assert not has_unit_rows(encoder) and has_unit_rows(unit)
    rows = unit.predict(images(), verbose=0)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows, normalised(encoder), atol=1e-5)
    assert with_unit_rows(unit) is unit
    assert {id(w) for w in unit.weights} == {id(w) for w in encoder.weights}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_encoder_of_this_package_is_left_as_it_is(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        for name in ("resnet_small", "alexnet"):
            encoder = build_encoder(name, (16, 16, 3), seed=0)
            assert with_unit_rows(encoder) is encoder
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_so_is_one_that_was_saved_and_one_that_ends_in_another(tmp_path):
    encoder = build_encoder("resnet_small", (16, 16, 3))
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    around = keras.Sequential([keras.Input((16, 16, 3)), loaded])
    ends_in_layer = functional(lambda x: keras.layers.UnitNormalization()(pooled(x)))
    for model in (loaded, around, ends_in_layer):
        assert with_unit_rows(model) is model


def test_mobilenet_without_weights_is_an_encoder():
    for pooling in ("avg", None):
        network = keras.applications.MobileNetV2(
            weights=None, include_top=False, pooling=pooling, input_shape=(32, 32, 3)
        )
        rows = with_unit_rows(network).predict(images(32), verbose=0)
        assert rows.shape == (5, 1280)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def two_outputs():
    x = keras.Input((16, 16, 3))
    return keras.Model(x, [keras.layers.Flatten()(x), keras.layers.Flatten()(x)])


@pytest.mark.parametrize(
    "build, message",
    [
        (Subclassed, r"not built yet.*encoder\(images\[:1\]\)"),
        (lambda: keras.Sequential([keras.layers.Flatten()]), "not built yet"),
        (two_outputs, "gives 2 outputs"),
        (lambda: functional(lambda x: keras.layers.Reshape((-1, 4))(x)), "GlobalAveragePooling1D"),
        (lambda: keras.layers.Dense(3), r"must be a keras\.Model. Received Dense"),
    ],
)
def test_what_gives_no_rows_is_refused_with_the_remedy(build, message):
    with pytest.raises(UserError, match=message):
        with_unit_rows(build())
