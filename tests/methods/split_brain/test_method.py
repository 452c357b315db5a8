"""The method Split-Brain: the encoder that it asks for, and images that it warns of."""

import logging

import numpy as np
import pytest

from and_tf.data.sources.source import array_source
from and_tf.encoders.build import build_encoder
from and_tf.methods import METHODS
from and_tf.methods.split_brain.grey import are_grey


def source(colour):
    """40 grey images, of which one has one spot that differs by `colour` between channels."""
    images = np.random.default_rng(0).integers(0, 200, (40, 8, 8, 1)).repeat(3, axis=-1)
    images[7, 3, 4, 2] += colour
    return array_source(images.astype(np.uint8), name="spots")


@pytest.mark.parametrize(("colour", "expected"), [(0, True), (2, True), (9, False)])
def test_images_are_grey_where_no_pixel_has_any_colour(colour, expected):
    assert are_grey(source(colour)) is expected


@pytest.mark.parametrize("colour", [0, 50])
def test_grey_images_are_warned_of(colour, caplog):
    encoder = build_encoder("resnet_small", (8, 8, 3), 8, split=True)
    with caplog.at_level(logging.WARNING, logger="and_tf"):
        METHODS["split_brain"]().build_model(encoder, source(colour), 0)
    assert ("The images of spots are grey" in caplog.text) == (colour == 0)


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
