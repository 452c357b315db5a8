"""What every encoder must do, whatever its layers."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf import encoders

# torchvision's parameter counts for 1,000 classes, less its last layer, plus a 128-dimensional one;
# for AlexNet also gamma and beta of its convolutions' (1,152) and hidden layers' BatchNorm.
PARAMETERS = {
    "alexnet": 61_100_840 - 4097 * 1000 + 4097 * 128 + 2 * (1152 + 2 * 4096),
    "resnet18": 11_689_512 - 513 * 1000 + 513 * 128,
    "resnet34": 21_797_672 - 513 * 1000 + 513 * 128,
    "resnet50": 25_557_032 - 2049 * 1000 + 2049 * 128,
    "resnet_small": 324_048,
}
SMALL_STEM_SAVES = (7 * 7 - 3 * 3) * 3 * 64


def images(count=3, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def count_trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.fixture(scope="module")
def small():
    return encoders.build_encoder("resnet_small", seed=1)


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed_policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", encoders.ENCODERS)
def test_parameters_of_large_images_match_torchvision(name):
    encoder = encoders.build_encoder(name, input_shape=(224, 224, 3))
    assert encoder.output_shape == (None, 128)
    assert count_trainable(encoder) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_small_images_get_a_3x3_stem_without_pool(name):
    encoder = encoders.build_encoder(name)
    assert count_trainable(encoder) == PARAMETERS[name] - SMALL_STEM_SAVES
    assert encoders.features(encoder, "stage1").output_shape[1:3] == (32, 32)
    assert encoders.features(encoder, "stage4").output_shape[1:3] == (4, 4)


def test_resnet_small_has_324048_parameters(small):
    assert count_trainable(small) == 324_048


def test_small_alexnet_has_the_shapes_of_the_paper():
    encoder = encoders.build_encoder("alexnet", embedding_dim=64)
    shapes = [encoders.features(encoder, f"conv{n}").output_shape[1:] for n in range(1, 6)]
    assert shapes == [(32, 32, 64), (16, 16, 192), (8, 8, 384), (8, 8, 256), (8, 8, 256)]
    assert encoder.get_layer("flatten").output.shape == (None, 4096)
    assert encoder.get_layer("hidden1").output.shape == (None, 1024)
    assert encoder.output_shape == (None, 64)


def test_large_alexnet_has_torchvision_sizes():
    encoder = encoders.build_encoder("alexnet", input_shape=(224, 224, 3))
    shapes = [encoders.features(encoder, f"conv{n}").output_shape[1:] for n in range(1, 6)]
    assert shapes == [(55, 55, 64), (27, 27, 192), (13, 13, 384), (13, 13, 256), (13, 13, 256)]
    assert encoder.get_layer("flatten").output.shape == (None, 9216)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("alexnet", (65, 65, 3)), ("alexnet", (28, 28, 1)), ("resnet18", (8, 8, 3))],
)
def test_unusual_sizes_run(name, shape):
    encoder = encoders.build_encoder(name, input_shape=shape, embedding_dim=5)
    assert encoder(np.zeros((2, *shape), "uint8"), training=False).shape == (2, 5)


def test_uint8_and_float_images_give_the_same_everywhere(small):
    pixels = images()
    compiled = tf.function(lambda x: small(x, training=False))
    expected = small.predict(pixels, verbose=0)
    for found in (
        small.predict(pixels.astype("float64"), verbose=0),
        small(pixels, training=False),
        small(tf.constant(pixels), training=False),
        small(pixels.astype("float32"), training=False),
        compiled(tf.constant(pixels)),
        compiled(tf.constant(pixels, tf.float32)),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_mean_and_std_are_applied_inside():
    encoder = encoders.build_encoder("resnet_small", mean=(100, 110, 120), std=(50, 60, 70))
    pixels = images(2)
    found = keras.Model(encoder.input, encoder.get_layer("normalise").output)(pixels)
    expected = (pixels - np.array([100, 110, 120])) / np.array([50, 60, 70])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "resnet_small"])
def test_named_layers_are_non_negative_maps(name):
    encoder = encoders.build_encoder(name, seed=3)
    *maps, last = encoders.layer_names(encoder)
    assert last == "fc"
    for layer in maps:
        found = encoders.features(encoder, layer)(images(), training=False).numpy()
        assert found.ndim == 4 and found.min() >= 0 and found.max() > 0


def test_fc_means_the_unit_length_embedding(small):
    found = encoders.features(small, "fc")(images(), training=False)
    np.testing.assert_array_equal(found, small(images(), training=False))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_output_is_unit_length_float32_under_mixed_precision(mixed_policy):
    encoder = encoders.build_encoder("resnet_small", seed=1)
    assert encoder.get_layer("stage4").compute_dtype == mixed_policy.removeprefix("mixed_")
    pixels = images().astype("float32") + 0.37  # lost if the input is rounded to half precision
    normalised = keras.Model(encoder.input, encoder.get_layer("normalise").output)(pixels)
    np.testing.assert_allclose(normalised, (pixels - 127.5) / 64, atol=1e-5)
    embeddings = encoder(pixels, training=False)
    assert embeddings.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_gradient_is_finite_at_the_zero_vector(small):
    head = keras.Model(small.get_layer("fc").output, small.output)
    rows = tf.constant(np.stack([np.zeros(128), np.arange(128)]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        embeddings = head(rows)
    gradient = tape.gradient(embeddings, rows).numpy()
    np.testing.assert_array_equal(embeddings[0], np.zeros(128))
    assert np.isfinite(gradient).all()


def test_gradient_reaches_every_trainable_weight():
    encoder = encoders.build_encoder("resnet_small", seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(images(), training=True)[:, 0])
    for variable, gradient in zip(
        encoder.trainable_variables,
        tape.gradient(loss, [v.value for v in encoder.trainable_variables]),
        strict=True,
    ):
        assert gradient is not None and np.isfinite(gradient.numpy()).all(), variable.path


def test_the_same_seed_gives_the_same_weights():
    first, again, other = (encoders.build_encoder("resnet_small", seed=seed) for seed in (5, 5, 6))
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [model.get_layer("stage3_block1_conv2").get_weights()[0] for model in (first, other)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_layers_of_one_shape_start_apart():
    encoder = encoders.build_encoder("resnet18", seed=5)
    first = encoder.get_layer("stage1_block1_conv1").get_weights()[0]
    second = encoder.get_layer("stage1_block1_conv2").get_weights()[0]
    assert np.abs(first - second).max() > 0.01


def test_alexnet_names_are_aliases_on_a_resnet(small):
    assert encoders.layer_names(small) == ["stem", "stage1", "stage2", "stage3", "stage4", "fc"]
    aliases = [encoders.resolve_layer(small, f"conv{n}") for n in range(1, 6)]
    assert aliases == ["stem", "stage1", "stage2", "stage3", "stage4"]
    alexnet = encoders.build_encoder("alexnet")
    assert encoders.resolve_layer(alexnet, "conv4") == "conv4"
    with pytest.raises(ValueError, match=r"alexnet has no layer 'stage1'.*conv1, conv2"):
        encoders.resolve_layer(alexnet, "stage1")
    with pytest.raises(ValueError, match=r"resnet_small has no layer 'conv6'.*stem, stage1"):
        encoders.resolve_layer(small, "conv6")
    with pytest.raises(ValueError, match=r"by their exact names.*such as stage3_block1_conv2"):
        encoders.resolve_layer(small, "stage3_block1_conv22")


def test_saved_encoder_loads_without_this_package(small, tmp_path):
    path, pixels = tmp_path / "encoder.keras", images()
    small.save(path)
    expected = small.predict(pixels, verbose=0)
    np.savez(tmp_path / "pixels.npz", pixels=pixels)
    code = (
        "import sys; sys.modules['and_tf'] = None; import keras, numpy as np\n"
        f"encoder = keras.models.load_model({str(path)!r})\n"
        f"pixels = np.load({str(tmp_path / 'pixels.npz')!r})['pixels']\n"
        f"np.save({str(tmp_path / 'found.npy')!r}, encoder.predict(pixels, verbose=0))\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-6)

    loaded = keras.models.load_model(path)
    assert encoders.layer_names(loaded) == encoders.layer_names(small)
    np.testing.assert_allclose(loaded.predict(pixels, verbose=0), expected, atol=1e-6)


def test_synchronized_batch_norm_reaches_every_norm():
    encoder = encoders.build_encoder("resnet_small", synchronized_batch_norm=True)
    norms = [x for x in encoder.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert norms and all(norm.synchronized for norm in norms)
    assert np.isfinite(encoder(images(), training=True).numpy()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg"}, "encoder='vgg' must be one of alexnet, resnet18"),
        ({"input_shape": (32, 48, 3)}, r"input_shape=\(32, 48, 3\) .*square"),
        ({"input_shape": (4, 4, 3)}, "at least 8 pixels"),
        ({"mean": (1, 2)}, r"mean=\[1.0, 2.0\] .* 3 channels"),
        ({"std": (1, 0, 1)}, r"std=\[1.0, 0.0, 1.0\]"),
        ({"embedding_dim": 0}, "embedding_dim=0 must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        encoders.build_encoder(**{"name": "resnet_small", **arguments})


def test_an_encoder_is_a_function_and_a_line(monkeypatch):
    def build_linear(layers, x, embedding_dim, large):
        return layers.embedding(layers.flatten(x, name="flatten"), embedding_dim)

    monkeypatch.setitem(encoders.ENCODERS, "linear", build_linear)
    encoder = encoders.build_encoder("linear", (8, 8, 3), embedding_dim=5)
    assert encoder.predict(images(side=8), verbose=0).shape == (3, 5)
    assert encoders.layer_names(encoder) == ["fc"]
