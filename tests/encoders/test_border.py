"""An encoder with a border is the encoder of the centre, layer by layer."""

import numpy as np
import pytest
from helpers.pictures import pixels

from and_tf.encoders.border import with_border, without_border
from and_tf.encoders.build import build_encoder
from and_tf.encoders.layer_outputs import layer_names
from and_tf.encoders.pooling import pooled_features


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("resnet_small", (16, 16, 3), 8, [120.0] * 3, [60.0] * 3)


def test_the_centre_alone_is_seen(encoder):
    bordered = with_border(encoder, 0.8)
    assert bordered.input_shape == (None, 20, 20, 3) and with_border(encoder, 1.0) is encoder
    images = pixels(3, side=20)
    expected = encoder(images[:, 2:18, 2:18], training=False)
    np.testing.assert_array_equal(bordered(images, training=False), expected)
    assert layer_names(bordered) == layer_names(encoder)
    found, known = pooled_features(bordered), pooled_features(encoder)
    np.testing.assert_array_equal(found(images), known(images[:, 2:18, 2:18]))


def test_a_border_is_taken_off_again(encoder):
    inner = without_border(with_border(encoder, 0.89))  # 18 pixels
    images = pixels(3, side=16)
    assert inner.input_shape == (None, 16, 16, 3) and without_border(encoder) is encoder
    np.testing.assert_array_equal(inner(images, training=False), encoder(images, training=False))
