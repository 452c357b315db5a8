"""Attention maps: the arithmetic against a hand-made network, and how they are shown."""

import keras
import numpy as np
import pytest
from keras import ops

from and_tf import encoders
from and_tf.errors import UserError
from and_tf.report.attention import attention_layer, overlay, similarity_attention


def tiny_encoder(seed=0):
    """Images of 8 pixels, `conv1` of 4 filters at 8 x 8, average, `fc`, unit rows."""
    images = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(images)
    rows = keras.layers.Dense(5, name="fc")(keras.layers.GlobalAveragePooling2D()(maps))
    unit = rows / ops.norm(rows, axis=-1, keepdims=True)
    return keras.Model(images, keras.layers.Activation("linear", name="embedding")(unit))


def naive_attention(encoder, image, target):
    """Grad-CAM by hand: behind an average pool a weight is the filter's part of the product."""
    maps = keras.Model(encoder.input, encoder.get_layer("conv1").output)(image[None])[0].numpy()
    kernel = encoder.get_layer("fc").kernel.numpy()  # (4, 5)
    weights = kernel @ (target / np.linalg.norm(target)) / 64  # (4,), gradient of each position
    summed = np.zeros((8, 8))
    for filter_number in range(4):
        summed += weights[filter_number] * maps[..., filter_number]
    positive = np.maximum(summed, 0)
    return positive / positive.max() if positive.max() > 0 else positive


def random_images(count, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype("uint8")


def test_attention_equals_grad_cam_by_hand():
    encoder, images = tiny_encoder(), random_images(20)  # the last batch is partial
    targets = np.random.default_rng(1).normal(size=(20, 5)).astype("float32")
    found = similarity_attention(encoder, "conv1", images, targets)
    expected = [
        naive_attention(encoder, image, target)
        for image, target in zip(images.astype("float32"), targets, strict=True)
    ]
    assert found.shape == (20, 8, 8) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_attention_ignores_the_length_of_a_target_and_stands_nothing_for_similarity():
    encoder, images = tiny_encoder(), random_images(3)
    targets = np.random.default_rng(2).normal(size=(3, 5)).astype("float32")
    np.testing.assert_allclose(
        similarity_attention(encoder, "conv1", images, targets),
        similarity_attention(encoder, "conv1", images, 7 * targets),
        rtol=1e-4,
        atol=1e-5,
    )
    empty = similarity_attention(encoder, "conv1", images, np.zeros((3, 5), "float32"))
    np.testing.assert_array_equal(empty, np.zeros((3, 8, 8)))
    assert similarity_attention(encoder, "conv1", images[:0], targets[:0]).shape == (0, 8, 8)


def test_attention_wants_a_target_for_each_image():
    with pytest.raises(UserError, match="3 images, 2 targets"):
        similarity_attention(tiny_encoder(), "conv1", random_images(3), np.ones((2, 5)))


def test_attention_to_itself_finds_the_only_thing_in_the_image():
    encoder = encoders.build_encoder("resnet_small", (32, 32, 3), embedding_dim=16, seed=0)
    images = np.full((1, 32, 32, 3), 128, "uint8")
    images[0, 4:12, 20:28] = random_images(1)[0]
    (found,) = similarity_attention(encoder, "stage1", images, encoder.predict(images, verbose=0))
    inside = found[2:14, 18:30].mean()
    assert inside > 1.5 * found.mean()


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("resnet_small", 32, "stage3"),
        ("resnet_small", 16, "stage2"),
        ("resnet_small", 64, "stage4"),
        ("alexnet", 32, "conv5"),
        ("resnet_small", 8, "stage1"),
    ],
)
def test_the_deepest_layer_with_enough_positions_is_chosen(name, side, layer):
    encoder = encoders.build_encoder(name, (side, side, 3), embedding_dim=8)
    assert attention_layer(encoder) == layer


def test_an_overlay_is_bright_where_the_map_is_high():
    images = np.full((1, 32, 32, 3), 100, "uint8")
    maps = np.zeros((1, 4, 4), "float32")
    maps[0, 0, 3] = 1
    (shown,) = overlay(images, maps)
    assert shown.shape == (32, 32, 3) and shown.dtype == np.uint8
    assert shown[2, 29].sum() > 2 * shown[29, 2].sum()
    assert len(np.unique(shown[2, 8:24].sum(axis=-1))) > 4  # smooth, not in blocks of 8
