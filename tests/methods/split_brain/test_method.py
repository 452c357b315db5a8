"""The method Split-Brain: the encoder that it asks for, and images that it warns of."""

import keras
import numpy as np
import pytest

from and_tf.data.sources.source import array_source
from and_tf.encoders.build import build_encoder
from and_tf.methods import METHODS
from and_tf.methods.method import TrainingContext
from and_tf.methods.split_brain.grey import are_grey

pytestmark = pytest.mark.usefixtures("thin_resnet")


def source(colour):
    """40 grey images, of which one has one spot that differs by `colour` between channels."""
    images = np.random.default_rng(0).integers(0, 200, (40, 8, 8, 1)).repeat(3, axis=-1)
    images[7, 3, 4, 2] += colour
    return array_source(images.astype(np.uint8), name="spots")


@pytest.mark.parametrize(("colour", "expected"), [(0, True), (2, True), (9, False)])
def test_images_are_grey_where_no_pixel_has_any_colour(colour, expected):
    assert are_grey(source(colour)) is expected


@pytest.mark.parametrize("colour, steps", [(0, 0), (50, 0), (0, 3)])
def test_grey_images_are_warned_of_before_the_first_step(colour, steps, caplog):
    context = TrainingContext(source(colour), 3, 0, lambda model=None: np.zeros((40, 8)))
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd")
    model.optimizer.iterations.assign(steps)
    for callback in METHODS["split_brain"]().callbacks(context):
        callback.set_model(model)
        callback.on_train_begin()
    is_warned = "images of spots are grey: one half of the encoder has nothing" in caplog.text
    assert is_warned == (colour == 0 and steps == 0)


def test_images_are_not_looked_at_where_a_model_is_built(monkeypatch):
    encoder = build_encoder("resnet_small", (8, 8, 3), 8, split=True)
    images = source(0)
    monkeypatch.setattr(type(images), "load", None)
    METHODS["split_brain"]().build_model(encoder, images, 0)


def test_the_encoder_is_split_and_its_heads_follow_the_seed():
    method, built = METHODS["split_brain"](), {}
    assert method.build_encoder(lambda **options: built.update(options)) is None
    assert built == {"split": True} and method.has_own_encoder
    encoder = build_encoder("resnet_small", (8, 8, 3), 8, split=True, seed=0)
    heads = [
        method.build_model(encoder, source(50), seed).state()["heads/predict_colour/kernel"].numpy()
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(heads[0], heads[1])
    assert (heads[0] != heads[2]).any()
