"""Layers of any size in a config are refused before their weights take memory."""

import json
import zipfile

import keras
import numpy as np
import pytest

import and_tf
from and_tf.errors import BrokenFile
from and_tf.export import load_exported
from and_tf.runs.weights_limit import TooManyWeights, weights_within
from and_tf.runs.workdir import Workdir


def network(units=8, dtype="float32"):
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, dtype=dtype)(images)
    x = keras.layers.Dense(units, dtype=dtype)(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def with_units(path, units):
    """The same file with another number of units in its dense layer."""
    forged = path.with_name("forged.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = content.replace(b'"units": 8', b'"units": %d' % units)
                assert json.loads(content)
            new.writestr(name, content)
    return forged


@pytest.mark.parametrize("units", [10_000, 10**9, 2**31])
def test_a_file_whose_config_asks_for_more_than_it_holds_is_refused(tmp_path, units):
    network().save(tmp_path / "a.keras")
    assert and_tf.load_encoder(tmp_path / "a.keras").output_shape == (None, 8)
    path = with_units(tmp_path / "a.keras", units)
    for read in (and_tf.load_encoder, load_exported):
        with pytest.raises(
            BrokenFile, match=r"forged\.keras cannot.*layers need at least [\d,.]+ MB"
        ):
            read(path)
    assert network().count_params() == 4 * 27 + 144 * 8 + 8  # built as ever afterwards


@pytest.mark.parametrize(("dtype", "bytes_of_each"), [("float32", 4), ("mixed_float16", 4)])
def test_the_limit_is_the_bytes_of_all_weights(monkeypatch, dtype, bytes_of_each):
    monkeypatch.setattr("and_tf.runs.weights_limit.ALWAYS_BYTES", 0)
    needed = bytes_of_each * (4 * 27 + 144 * 8 + 8)
    with weights_within(needed):
        network(dtype=dtype)
    with pytest.raises(TooManyWeights), weights_within(needed - 1):
        network(dtype=dtype)


def test_other_errors_stay_what_they_are():
    with pytest.raises(KeyError), weights_within(0):
        raise KeyError


@pytest.mark.parametrize("name", ["flags.cfg", "network.json"])
def test_a_run_whose_network_is_larger_than_its_checkpoints_is_refused(tmp_path, name):
    run = Workdir(tmp_path / "run")
    run.path.mkdir()
    run.write_metadata({"mean": [120.0] * 3, "std": [60.0] * 3})
    run.flags.write_text("--encoder=alexnet\n--image_size=8\n--embedding_dim=65536\n")
    run.save_checkpoint({"encoder/fc/bias": np.zeros(8, np.float32)}, {"step": 1})
    if name == "network.json":
        text = network(1_000).to_json().replace('"units": 1000', '"units": 1000000000')
        run.network.write_text(text)
    with pytest.raises(BrokenFile, match=rf"{name}.*layers need at least [\d,.]+ MB.*restore it"):
        and_tf.load_encoder(run.path)
