import gc
import threading
import weakref

import keras
import numpy as np
import pytest

from and_tf import encoders
from and_tf.evaluation import extract, feature_store
from and_tf.evaluation import features as features_module
from and_tf.evaluation.features import extract_layers
from and_tf.evaluation.pooling import feature_widths, pool, pooled_grid

pytestmark = pytest.mark.usefixtures("thin_resnet")

SIZE = 8


class FakeSource:
    name = "fake"

    def __init__(self, num_images):
        self.images = np.random.default_rng(0).integers(0, 256, (num_images, SIZE, SIZE, 3))
        self.threads = set()
        self.loaded = []

    def __len__(self):
        return len(self.images)

    def load(self, indices, size):
        assert size == SIZE
        self.threads.add(threading.get_ident())
        self.loaded += list(indices)
        return self.images[indices].astype(np.uint8)


@pytest.fixture
def model():
    """Convolution and BatchNorm with moving averages that are not 0 and 1."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
        ]
    )
    _, _, mean, variance = model.layers[-1].get_weights()
    model.layers[-1].set_weights([mean + 2, mean - 1, mean + 0.3, variance * 3])
    return model


@pytest.mark.parametrize(("num_images", "batch_size"), [(10, 4), (8, 4), (3, 256), (5, 1)])
def test_features_are_those_of_predict_in_order(model, num_images, batch_size):
    source = FakeSource(num_images)
    found = extract(model, source, SIZE, batch_size=batch_size)
    expected = model.predict(source.images.astype("float32"), verbose=0)
    assert found.dtype == np.float32 and found.shape == (num_images, SIZE * SIZE * 4)
    np.testing.assert_allclose(found, expected.reshape(num_images, -1), rtol=1e-5, atol=1e-5)


def test_extraction_leaves_the_moving_averages_alone(model):
    before = model.layers[-1].get_weights()
    extract(model, FakeSource(6), SIZE, batch_size=4)
    for weight, old in zip(model.layers[-1].get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_images_are_loaded_in_another_thread(model):
    source = FakeSource(6)
    extract(model, source, SIZE, batch_size=2)
    assert threading.get_ident() not in source.threads


def test_an_error_of_the_source_reaches_the_caller(model):
    class Broken(FakeSource):
        def load(self, indices, size):
            if 4 in indices:
                raise OSError("image 4 is broken")
            return super().load(indices, size)

    with pytest.raises(OSError, match="image 4 is broken"):
        extract(model, Broken(6), SIZE, batch_size=2)


def test_large_maps_are_pooled_and_small_ones_kept(model):
    source = FakeSource(3)
    maps = extract(model, source, SIZE).reshape(3, SIZE, SIZE, 4)
    found = extract(model, source, SIZE, max_values=70)  # 4 * 4 * 4 = 64
    expected = maps.reshape(3, 4, 2, 4, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected.reshape(3, -1), rtol=1e-5, atol=1e-5)
    assert extract(model, source, SIZE, max_values=256).shape == (3, 256)
    assert extract(model, source, SIZE, max_values=255).shape == (3, 7 * 7 * 4)
    assert extract(model, source, SIZE, max_values=1).shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "max_values", "expected"),
    [((7, 7, 2), 20, (3, 3, 2)), ((5, 9, 1), 36, (5, 6, 1)), ((4, 4, 3), 48, (4, 4, 3))],
)
def test_pooling_matches_a_loop_over_bins(shape, max_values, expected):
    maps = np.random.default_rng(2).normal(size=(2, *shape)).astype("float32")
    found = np.asarray(pool(keras.ops.convert_to_tensor(maps), max_values))
    assert found.shape == (2, *expected)
    height, width, rows, columns = *shape[:2], *expected[:2]
    for i in range(rows):
        for j in range(columns):
            region = maps[
                :,
                int(np.floor(i * height / rows)) : int(np.ceil((i + 1) * height / rows)),
                int(np.floor(j * width / columns)) : int(np.ceil((j + 1) * width / columns)),
            ]
            np.testing.assert_allclose(found[:, i, j], region.mean(axis=(1, 2)), atol=1e-6)


def test_flat_features_are_never_pool():
    flat = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Flatten()])
    assert extract(flat, FakeSource(2), SIZE, max_values=10).shape == (2, SIZE * SIZE * 3)


def test_features_that_are_not_finite_are_counted(model):
    class TwoBad(keras.layers.Layer):
        def call(self, x):
            return keras.ops.where(x > 255, np.nan, x)

    source = FakeSource(10)
    source.images[:] = 0
    source.images[[5, 7]] = 255
    diverged = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), keras.layers.Rescaling(2), TwoBad()], name="conv3"
    )
    with pytest.raises(ValueError, match=r"2 of 4 images are not finite \(model conv3, images 4"):
        extract(diverged, source, SIZE, batch_size=4)


def test_an_empty_source_and_an_empty_batch_are_refused(model):
    with pytest.raises(ValueError, match="fake holds no image"):
        extract(model, FakeSource(0), SIZE)
    with pytest.raises(ValueError, match="batch_size=0"):
        extract(model, FakeSource(2), SIZE, batch_size=0)


def test_a_model_with_two_outputs_is_refused():
    image = keras.Input((SIZE, SIZE, 3))
    two = keras.Model(image, [keras.layers.Flatten()(image), image])
    with pytest.raises(ValueError, match="one tensor"):
        extract(two, FakeSource(2), SIZE)


class Counting(keras.layers.Layer):
    """Counts how often Python runs it, once a trace."""

    traces = 0

    def call(self, x):
        self.traces += 1
        return x


def test_a_second_extraction_does_not_trace_again_and_sees_new_weights(model):
    counting = Counting()
    model.add(counting)
    source = FakeSource(5)
    before = extract(model, source, SIZE, batch_size=2)
    traces = counting.traces
    model.layers[1].set_weights([2 * weight for weight in model.layers[1].get_weights()])
    found = extract(model, source, SIZE, batch_size=2)
    assert counting.traces == traces
    expected = model.predict(source.images.astype("float32"), verbose=0).reshape(5, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found - before).max() > 0.1


def test_each_model_and_pooling_has_a_function_of_its_own(model):
    source = FakeSource(3)
    other = keras.models.clone_model(model)
    for network in (model, other, model):
        expected = network.predict(source.images.astype("float32"), verbose=0)
        np.testing.assert_allclose(
            extract(network, source, SIZE), expected.reshape(3, -1), rtol=1e-5, atol=1e-5
        )
    assert extract(model, source, SIZE, max_values=4).shape == (3, 4)
    assert extract(model, source, SIZE).shape == (3, SIZE * SIZE * 4)


def test_extraction_does_not_keep_a_model_alive():
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(2, 3)])
    extract(network, FakeSource(2), SIZE)
    alive = [weakref.ref(network), weakref.ref(network.layers[0].kernel)]
    del network
    keras.backend.clear_session()
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


@pytest.fixture(scope="module")
def encoder():
    return encoders.build_encoder("resnet_small", (SIZE, SIZE, 3), embedding_dim=6, seed=0)


@pytest.mark.parametrize("memory_mb", [4096, 0])
def test_all_layers_of_one_pass_are_those_of_each_layer_alone(encoder, tmp_path, memory_mb):
    source = FakeSource(11)
    layers = ["conv1", "stage2", "stage4", "fc"]
    found = extract_layers(
        encoder, layers, source, SIZE, 4, max_values=300, memory_mb=memory_mb, folder=tmp_path
    )
    assert list(found) == layers
    assert source.loaded == list(range(11))
    for layer, features in found.items():
        assert isinstance(features, np.memmap) == (memory_mb == 0)
        expected = extract(encoders.features(encoder, layer), source, SIZE, 4, max_values=300)
        np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)
    assert found["conv1"].shape == (11, 4 * 4 * 16)
    assert list(tmp_path.iterdir()) == []


def test_the_budget_holds_for_all_layers_together(encoder, tmp_path):
    source = FakeSource(300)  # 300 x 1,024 float32 are 1.2 MB a layer
    for layers, in_memory in ((["stem"], True), (["stem", "stage1"], False)):
        found = extract_layers(encoder, layers, source, SIZE, memory_mb=2, folder=tmp_path)
        is_memory = [not isinstance(features, np.memmap) for features in found.values()]
        assert is_memory == [in_memory] * len(layers)


def test_without_room_on_disk_no_more_than_a_batch_is_computed(encoder, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no room")

    monkeypatch.setattr(feature_store, "_allocate", refuse)
    source = FakeSource(50)
    with pytest.raises(OSError, match="no room"):
        extract_layers(encoder, ["stem", "fc"], source, SIZE, 2, memory_mb=0, folder=tmp_path)
    assert len(source.loaded) <= 6


def test_a_diverged_layer_is_named_and_nothing_is_left(tmp_path):
    encoder = encoders.build_encoder("resnet_small", (SIZE, SIZE, 3), seed=0)
    encoder.get_layer("fc").bias.assign(np.full(128, np.nan))
    with pytest.raises(ValueError, match=r"resnet_small, layer fc, images 0 to 3"):
        extract_layers(
            encoder, ["stem", "fc"], FakeSource(5), SIZE, 4, memory_mb=0, folder=tmp_path
        )
    assert list(tmp_path.iterdir()) == []


def test_no_layer_and_an_unknown_one_are_refused(encoder):
    with pytest.raises(ValueError, match="names no layer"):
        extract_layers(encoder, [], FakeSource(5), SIZE)
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        extract_layers(encoder, ["conv9"], FakeSource(5), SIZE)


@pytest.mark.parametrize(
    ("map_of_alexnet", "grid"),
    [((55, 55, 96), 10), ((27, 27, 256), 6), ((13, 13, 384), 5), ((13, 13, 256), 6)],
)
def test_9600_values_give_the_published_grids_of_the_linear_protocol(map_of_alexnet, grid):
    assert pooled_grid(*map_of_alexnet, max_values=9600) == (grid, grid)


def test_widths_are_known_before_a_feature_is_taken():
    encoder = encoders.build_encoder("alexnet", (32, 32, 3), 8, seed=0)
    layers = ["conv1", "conv3", "conv5", "fc"]
    model = features_module.layers_model(encoder, layers)
    for max_values in (None, 9000, 2000):
        source = np.zeros((1, 32, 32, 3), np.uint8)
        taken = [
            part.shape[1] for part in features_module.model_features(model, 32, max_values)(source)
        ]
        assert feature_widths(model, max_values) == taken
