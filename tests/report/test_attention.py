"""Attention maps: the arithmetic against a hand-made network, pictures, and the run's rounds."""

import keras
import numpy as np
import pytest
from keras import ops

from and_tf import encoders
from and_tf.cli.flags import train_flags
from and_tf.report.attention import (
    attention_by_round,
    attention_layer,
    attention_strip,
    choose_by_entropy,
    choose_examples,
    encoders_by_round,
    overlay,
    similarity_attention,
)
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir, encoder_of


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
    with pytest.raises(ValueError, match="3 images, 2 targets"):
        similarity_attention(tiny_encoder(), "conv1", random_images(3), np.ones((2, 5)))


def test_attention_to_itself_finds_the_only_thing_in_the_image():
    encoder = encoders.encoder_of("resnet_small", (32, 32, 3), embedding_dim=16, seed=0)
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
    encoder = encoders.encoder_of(name, (side, side, 3), embedding_dim=8)
    assert attention_layer(encoder) == layer


def test_an_overlay_is_bright_where_the_map_is_high():
    images = np.full((1, 32, 32, 3), 100, "uint8")
    maps = np.zeros((1, 4, 4), "float32")
    maps[0, 0, 3] = 1
    (shown,) = overlay(images, maps)
    assert shown.shape == (32, 32, 3) and shown.dtype == np.uint8
    assert shown[2, 29].sum() > 2 * shown[29, 2].sum()
    assert len(np.unique(shown[2, 8:24].sum(axis=-1))) > 4  # smooth, not in blocks of 8


def test_a_strip_has_a_row_an_image_and_a_column_a_round():
    images = random_images(3)
    maps = {number: np.zeros((3, 2, 2), "float32") for number in (4, 0)}
    picture, columns = attention_strip(images, maps, tile=20)
    assert columns == ["image", "round 0", "round 4"]
    assert picture.size == (3 * 22 - 2, 3 * 22 - 2)
    flat = np.full((1, 8, 8, 3), 200, "uint8")
    picture, _ = attention_strip(flat, {0: np.zeros((1, 2, 2), "float32")}, tile=20)
    assert picture.getpixel((5, 5)) == (200, 200, 200)
    assert max(picture.getpixel((27, 5))) < 110


def a_run(folder, rounds=2):
    """A run's folder with a round end for each number, and the encoders' embeddings of zeros."""
    run = Workdir(folder)
    flags = ["--encoder=resnet_small", "--image_size=16", "--embedding_dim=8"]
    run.write_flags(train_flags().read(flags))
    run.write_facts({"mean": [127.0] * 3, "std": [60.0] * 3})
    embeddings = []
    for number in range(rounds):
        encoder = encoder_of(train_flags().read([*flags, f"--seed={number}"]), [127] * 3, [60] * 3)
        state = checkpoint.encoder_state(encoder)
        checkpoint.save(run.round_file(number), state, {"round": number})
        embeddings.append(encoder.predict(random_images(2, side=16), verbose=0))
    return run, embeddings


def test_each_rounds_encoder_has_that_rounds_weights(tmp_path):
    run, expected = a_run(tmp_path)
    found = {
        number: encoder.predict(random_images(2, side=16), verbose=0)
        for number, encoder in encoders_by_round(run)
    }
    assert list(found) == [0, 1]
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_attention_by_round_gives_a_map_for_each_pair_and_round(tmp_path):
    run, _ = a_run(tmp_path)
    images, others = random_images(2, side=16), random_images(2, side=16, seed=1)
    maps = attention_by_round(run, images, others)
    assert [(number, m.shape) for number, m in maps.items()] == [(0, (2, 8, 8)), (1, (2, 8, 8))]
    assert np.abs(maps[0] - maps[1]).max() > 0


def test_a_run_without_round_ends_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no round's end"):
        next(encoders_by_round(Workdir(tmp_path)))


def test_examples_are_learned_images_and_images_still_wrong():
    first = np.array([False, False, True, True, False, False])
    last = np.array([True, True, True, False, False, True])
    chosen = choose_examples(first, last)
    assert {name: rows.tolist() for name, rows in chosen.items()} == {
        "successes": [0, 1, 5],
        "failures": [3, 4],
    }


def test_the_same_seed_chooses_the_same_examples():
    rng = np.random.default_rng(0)
    first, last = rng.random(200) < 0.3, rng.random(200) < 0.5
    choices = [choose_examples(first, last, seed=seed) for seed in (1, 1, 2)]
    assert all(len(rows) == 4 for rows in choices[0].values())
    np.testing.assert_array_equal(choices[0]["failures"], choices[1]["failures"])
    assert choices[0]["failures"].tolist() != choices[2]["failures"].tolist()


def test_without_labels_the_extremes_of_entropy_are_chosen():
    chosen = choose_by_entropy(np.array([0.5, 0.1, 0.9, 0.3, 0.7]), count=2)
    assert chosen["lowest entropy"].tolist() == [1, 3]
    assert chosen["highest entropy"].tolist() == [2, 4]
    few = choose_by_entropy(np.array([0.5, 0.1, 0.9]), count=2)
    assert not set(few["lowest entropy"]) & set(few["highest entropy"])
