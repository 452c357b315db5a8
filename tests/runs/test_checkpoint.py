"""Checkpoints: what comes back is what went in, or an error and nothing."""

import errno
import os

import keras
import numpy as np
import pytest

from and_tf.errors import BrokenFile, NotFound, StepNotFinite
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.runs import checkpoint
from and_tf.runs.checkpoint import values
from and_tf.training.optimizers import TorchSGD

N, D = 20, 4


def trained(seed=0, dim=D, num_samples=N, layer="hidden", steps=3, momentum=0.9):
    """A model in the middle of a round, with values other than 0 wherever training writes."""
    keras.utils.set_random_seed(seed)
    x = images = keras.Input((3,))
    x = keras.layers.Dense(6, name=layer)(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.UnitNormalization(name="embedding")(keras.layers.Dense(dim, name="fc")(x))
    model = AND(keras.Model(images, x), num_samples, neighbourhood_size=2)
    model.compile(TorchSGD(0.1, momentum=momentum, nesterov=momentum > 0))
    rng = np.random.default_rng(seed)
    model.neighbours.assign(rng.integers(0, num_samples, (num_samples, 2), "int32"))
    model.is_anchor.assign(rng.random(num_samples) < 0.5)
    model.entropy.assign(rng.random(num_samples).astype("float32"))
    model.round.assign(2)
    for _ in range(steps):
        step(model, rng)
    return model


def step(model, rng):
    images = rng.normal(size=(8, 3)).astype("float32")
    model.train_step((images, rng.permutation(model.num_samples)[:8]))


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture
def saved(tmp_path):
    """A checkpoint file and what it holds."""
    path = tmp_path / "checkpoints" / "last.npz"
    state = checkpoint.training_state(trained())
    checkpoint.save(path, state, {"step": 3})
    return path, values(state)


def test_state_comes_back_bit_for_bit(saved):
    path, expected = saved
    arrays, metadata = checkpoint.load(path)
    assert metadata == {"step": 3}
    assert_same(arrays, expected)
    other = checkpoint.training_state(trained(seed=1, steps=5))
    assert (other["bank"].numpy() != expected["bank"]).any()
    checkpoint.restore(other, arrays, path)
    assert_same(values(other), expected)


def test_another_dtype_is_refused(saved):
    path, arrays = saved
    state = checkpoint.training_state(trained(seed=1))
    with pytest.raises(BrokenFile, match="neighbours holds int32, not int64"):
        older = {"neighbours": arrays["neighbours"].astype("int32")}
        checkpoint.restore(state, arrays | older, path)


def test_a_restored_model_trains_on_as_the_saved_one_would(tmp_path):
    path, model, other = tmp_path / "last.npz", trained(), trained(seed=1, steps=0)
    checkpoint.save(path, checkpoint.training_state(model), {})
    checkpoint.restore(checkpoint.training_state(other), checkpoint.load(path)[0], path)
    for each in (model, other):
        rng = np.random.default_rng(7)
        for _ in range(3):
            step(each, rng)
    assert_same(*(values(checkpoint.training_state(each)) for each in (model, other)))


def test_state_holds_all_that_training_changes():
    model = trained(steps=0)
    held = {id(v) for v in checkpoint.training_state(model).values()}
    assert {id(v) for v in model.variables} <= held
    assert {id(v) for v in model.optimizer.variables} <= held
    assert {id(v) for v in model.loss_tracker.variables} <= held


def test_names_do_not_depend_on_what_was_built_before():
    first = checkpoint.training_state(trained())
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert list(checkpoint.training_state(trained())) == list(first)


def test_every_variable_of_the_encoder_has_a_name_of_its_own():
    encoder = trained().encoder
    assert len(checkpoint.encoder_state(encoder)) == len(encoder.variables)


def test_a_nested_encoder_keeps_every_variable():
    layers = [keras.layers.Dense(5), keras.layers.Dense(5), keras.layers.Dense(D)]
    images = keras.Input((3,))
    encoder = keras.Model(images, keras.Sequential(layers, name="body")(images))
    state = checkpoint.encoder_state(encoder)
    assert {id(v) for v in state.values()} == {id(v) for v in encoder.variables}


def test_the_encoder_alone_is_read_and_restored(saved):
    path, expected = saved
    encoder = trained(seed=1).encoder
    arrays, metadata = checkpoint.load(path, checkpoint.ENCODER)
    state = checkpoint.encoder_state(encoder)
    assert arrays.keys() == state.keys() and metadata == {"step": 3}
    checkpoint.restore(state, arrays, path)
    for name, value in values(state).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_corrupt_bank_does_not_matter_to_who_reads_the_encoder(saved):
    path, expected = saved
    content = path.read_bytes()
    place = content.index(expected["bank"].tobytes())
    path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
    with pytest.raises(BrokenFile):
        checkpoint.load(path)
    arrays, _ = checkpoint.load(path, checkpoint.ENCODER)
    np.testing.assert_array_equal(arrays["encoder/fc/kernel"], expected["encoder/fc/kernel"])


def test_a_round_keeps_encoder_and_neighbourhoods_but_no_bank():
    state = checkpoint.round_state(trained())
    assert {"neighbours", "is_anchor", "entropy", "round", "encoder/fc/kernel"} <= state.keys()
    assert "bank" not in state


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"dim": 5}, r"encoder/fc/kernel has shape \(6, 4\) there and \(6, 5\) here"),
        ({"num_samples": 21}, r"neighbours has shape \(20, 2\) there and \(21, 2\) here"),
        ({"layer": "other"}, r"encoder/other/kernel has shape none there and \(3, 6\) here"),
    ],
)
def test_another_model_is_refused_before_anything_is_assigned(saved, changed, named):
    path, _ = saved
    state = checkpoint.training_state(trained(seed=1, **changed))
    before = values(state)
    with pytest.raises(BrokenFile, match=named) as error:
        checkpoint.restore(state, checkpoint.load(path)[0], path)
    assert str(path) in str(error.value)
    assert_same(values(state), before)


def test_a_missing_checkpoint_is_named(tmp_path):
    path = tmp_path / "none.npz"
    with pytest.raises(NotFound, match=str(path)):
        checkpoint.load(path)


@pytest.mark.parametrize("fraction", [0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_truncated_checkpoint_is_named(saved, fraction):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(BrokenFile, match=str(path)):
        checkpoint.load(path)


def test_a_flipped_byte_never_changes_a_value(saved):
    path, expected = saved
    content = path.read_bytes()
    refused, places = 0, range(0, len(content), 11)
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            arrays, _ = checkpoint.load(path)
        except BrokenFile as error:
            refused += str(path) in str(error)
            continue
        # A name may have changed, which `restore` refuses.
        for name in arrays.keys() & expected.keys():
            np.testing.assert_array_equal(arrays[name], expected[name])
    assert refused > 0.5 * len(places)


@pytest.mark.parametrize("content", ["array", "text", "npz"])
def test_other_files_are_no_checkpoints(tmp_path, content):
    path = tmp_path / "last.npz"
    with open(path, "wb") as file:
        if content == "array":
            np.save(file, np.arange(3))
        elif content == "npz":
            np.savez(file, bank=np.zeros(3))
        else:
            file.write(b"no checkpoint")
    with pytest.raises(BrokenFile, match=str(path)):
        checkpoint.load(path)


def test_a_write_that_fails_leaves_the_old_checkpoint(saved, monkeypatch):
    path, expected = saved

    def fail(file, **arrays):
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, checkpoint.training_state(trained(seed=1)), {"step": 9})
    arrays, metadata = checkpoint.load(path)
    assert metadata == {"step": 3}
    assert_same(arrays, expected)


def test_the_newest_save_wins_and_nothing_else_stays(saved):
    path, _ = saved
    state = checkpoint.training_state(trained(seed=1))
    checkpoint.save(path, state, {"step": 9})
    arrays, metadata = checkpoint.load(path)
    assert metadata == {"step": 9}
    assert_same(arrays, values(state))
    assert [file.name for file in path.parent.iterdir()] == ["last.npz"]


def test_the_estimated_size_is_about_that_of_the_file(saved):
    path, expected = saved
    state = checkpoint.training_state(trained())
    assert checkpoint.state_bytes(state) == sum(value.nbytes for value in expected.values())
    assert checkpoint.state_bytes(state) < path.stat().st_size


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    path = tmp_path / "last.npz"
    checkpoint.save(path, {"bank": np.ones(3)}, {})
    with pytest.raises(StepNotFinite, match="bank hold NaN"):
        checkpoint.save(path, {"bank": np.array([1.0, np.nan])}, {})
    np.testing.assert_array_equal(checkpoint.load(path)[0]["bank"], 1)
    assert list(tmp_path.iterdir()) == [path]


def test_without_hard_links_the_older_checkpoint_is_kept_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    last, previous = tmp_path / "last.npz", tmp_path / "previous.npz"
    for step in (1, 2, 3):
        checkpoint.save(last, {}, {"step": step}, previous)
    assert [checkpoint.load(path)[1]["step"] for path in (last, previous)] == [3, 2]
