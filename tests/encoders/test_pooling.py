"""One unit row for each image from any layer, in a model that every export format takes."""

import keras
import numpy as np
import pytest

from and_tf.encoders import ENCODERS, build_encoder, features, layer_names, pooled_features
from and_tf.encoders.pooling import chosen_layer, pool
from and_tf.errors import UserError


def images(side):
    return np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype("float32")


def spans(side, size):
    """Slices of a side into cells of one size, what is missing taken from both ends."""
    count = -(-side // size)
    first = -((count * size - side) // 2)
    starts = [first + number * size for number in range(count)]
    return [slice(max(start, 0), start + size) for start in starts]


def means_of_cells(maps, most_values):
    """(B, F), by loops over cells of the smallest size that gives no more values."""
    _, height, width, channels = maps.shape
    for size in range(1, height + 1):
        rows, columns = (spans(side, size) for side in (height, width))
        if len(rows) * len(columns) * channels <= most_values:
            break
    cells = [maps[:, row, column].mean(axis=(1, 2)) for row in rows for column in columns]
    return np.concatenate(cells, axis=1)


# The last stage of 8, 24 and 32 pixels has 1, 3 and 4 places on a side.
@pytest.mark.parametrize("name, side", [("resnet_small", 8), ("resnet_small", 24), ("alexnet", 32)])
def test_a_layer_gives_the_means_of_its_cells_at_unit_length(name, side):
    encoder = build_encoder(name, (side, side, 3), embedding_dim=16, seed=0)
    for layer in layer_names(encoder):
        maps, rows = (
            build(encoder, layer).predict(images(side), verbose=0)
            for build in (features, pooled_features)
        )
        expected = means_of_cells(maps, 2048) if maps.ndim == 4 else maps
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        assert rows.dtype == np.float32 and rows.shape[1] <= 2048
        np.testing.assert_allclose(rows, expected, atol=1e-5, err_msg=layer)


def test_a_map_of_more_channels_than_values_gives_its_mean():
    maps = keras.Input((5, 5, 7))
    model = keras.Model(maps, pool(maps, most_values=6))
    values = np.random.default_rng(0).normal(size=(2, 5, 5, 7)).astype("float32")
    np.testing.assert_allclose(model(values), values.mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "split"), [*((name, False) for name in ENCODERS), ("alexnet", True)]
)
def test_one_model_gives_all_layers_pooled_in_several_ways(name, split):
    keras.utils.clear_session()  # as in a fresh process, where automatic names begin anew
    encoder = build_encoder(name, (16, 16, 3), embedding_dim=8, seed=0, split=split)
    outputs = {"fc": features(encoder, "fc").output}
    for layer in set(layer_names(encoder)) - {"fc"}:
        maps = features(encoder, layer).output
        for most_values in (1, 2048):
            outputs[f"{layer} {most_values}"] = pool(maps, most_values)
    model = keras.Model(encoder.input, outputs)
    assert all(output.shape[1] <= 2048 for output in model.outputs)
    assert len({layer.name for layer in model.layers}) == len(model.layers)


def test_auto_is_the_last_stage_before_a_trained_embedding():
    small, alexnet = (build_encoder(name, (16, 16, 3)) for name in ("resnet_small", "alexnet"))
    assert chosen_layer(small, "auto") == chosen_layer(small, "conv5") == "stage4"
    assert chosen_layer(alexnet, "auto") == "conv5"


def test_auto_is_the_output_of_what_was_exported_or_has_no_trained_embedding(tmp_path):
    exported = pooled_features(build_encoder("resnet_small", (16, 16, 3)), "stage3")
    exported.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    for model in (exported, loaded):
        again = pooled_features(model)
        np.testing.assert_array_equal(
            *(m.predict(images(16), verbose=0) for m in (exported, again))
        )


def test_a_layer_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(UserError, match=r"no layer 'stage7'.*stem, stage1, .*, fc"):
        pooled_features(build_encoder("resnet_small", (16, 16, 3)), "stage7")
