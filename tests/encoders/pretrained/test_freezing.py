"""Parts of an encoder that are not trained."""

import keras
import numpy as np
import pytest

from and_tf.encoders import build_encoder
from and_tf.encoders.pretrained import freeze
from and_tf.errors import UserError


@pytest.fixture
def encoder():
    return build_encoder("resnet_small", (16, 16, 3), 8, seed=1)


def trained(encoder):
    return {layer.name for layer in encoder.layers if layer.trainable_variables}


def test_a_stage_stands_for_its_layers_alone(encoder):
    frozen = freeze(encoder, ["stage1", "stage2"])
    assert {name.partition("_")[0] for name in frozen} == {"stage1", "stage2"}
    assert {"stem_conv", "stage3_block1_conv1", "fc"} <= trained(encoder)


def test_all_stages_leave_the_last_layer(encoder):
    freeze(encoder, ["stem", "stage1", "stage2", "stage3", "stage4"])
    assert trained(encoder) == {"fc"}


def test_all_leaves_nothing(encoder):
    freeze(encoder, ["all"])
    assert not trained(encoder)


def test_a_layer_is_frozen_by_its_name(encoder):
    assert freeze(encoder, ["stage2_block1_conv1"]) == ["stage2_block1_conv1"]


def test_frozen_batch_norm_uses_its_averages_and_keeps_them(encoder):
    freeze(encoder, ["batch_norm"])
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    before = [layer.moving_mean.numpy() for layer in encoder.layers if "bn" in layer.name]
    np.testing.assert_allclose(
        encoder(images, training=True), encoder(images, training=False), atol=1e-6
    )
    after = [layer.moving_mean.numpy() for layer in encoder.layers if "bn" in layer.name]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "stem_conv" in trained(encoder)


def test_a_part_that_is_none_is_refused_with_those_there_are(encoder):
    with pytest.raises(UserError, match=r"freeze='stage7'.*stage4, fc, batch_norm and all"):
        freeze(encoder, ["stem", "stage7"])


def test_stages_of_a_foreign_network_are_its_resolutions():
    x = images = keras.Input((32, 32, 3))
    for number in range(3):
        x = keras.layers.Conv2D(4, 3, 2, padding="same", name=f"a{number}")(x)
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"b{number}")(x)
    model = keras.Model(images, x)
    assert freeze(model, ["stem", "stage1"]) == ["a0", "b0", "a1", "b1"]
