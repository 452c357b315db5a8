"""Blocks of a discovery in the folder of a run: taken back as they were, or computed again."""

import os

import numpy as np
import pytest

from and_tf.errors import UserError
from and_tf.runs.discovery_blocks import DiscoveryBlocks
from and_tf.runs.workdir import Workdir

N, K = 20, 2
ROWS, SETTINGS = slice(5, 12), {"rows": 77, "temperature": 0.1, "precision": "float32"}


def found():
    rng = np.random.default_rng(0)
    entropy = rng.random(7).astype("float32")
    return entropy, np.stack([rng.permutation(5)[:K] for _ in range(7)]).astype("int32")


@pytest.fixture
def run(tmp_path):
    return Workdir(tmp_path)


def blocks(run, step=3, settings=SETTINGS):
    made = DiscoveryBlocks(run, lambda: {"step": step, "origin": {"images": "abc"}})
    made.begin(settings)
    return made


def only_file(run):
    (path,) = run.discovery.iterdir()
    return path


def test_what_was_kept_is_read_by_the_next_start_bit_for_bit(run):
    blocks(run).keep(ROWS, *found())
    later = blocks(run)
    for value, expected in zip(later.read(ROWS, (N, K)), found(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert later.read(slice(0, 5), (N, K)) is None
    later.remove()
    assert not run.discovery.exists() and later.read(ROWS, (N, K)) is None


@pytest.mark.parametrize("other", [{"step": 4}, {"settings": SETTINGS | {"rows": 78}}])
def test_blocks_of_another_discovery_are_removed(run, other):
    blocks(run).keep(ROWS, *found())
    assert blocks(run, **other).read(ROWS, (N, K)) is None
    assert not any(run.discovery.iterdir())


def replaced(place, name, value):
    values = dict(zip(("entropy", "neighbours"), found(), strict=True))
    values[name][place] = value
    return values


FORGED = {
    "own row": replaced(0, "neighbours", 5),
    "beyond": replaced(0, "neighbours", N),
    "negative": replaced(0, "neighbours", -1),
    "entropy": replaced(0, "entropy", 3.2),
    "not a number": replaced(0, "entropy", np.nan),
    "short": {"entropy": found()[0][:3], "neighbours": found()[1]},
    "wide": {"entropy": found()[0], "neighbours": np.zeros((7, 3), "int32")},
    "type": {"entropy": found()[0].astype("float64"), "neighbours": found()[1]},
    "missing": {"entropy": found()[0]},
    "object": {"entropy": np.array([None] * 7), "neighbours": found()[1]},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_block_is_computed_again(run, caplog, forged):
    kept = blocks(run)
    kept.keep(ROWS, *found())
    path = only_file(run)
    np.savez(path, **forged, made_from=np.array(kept.made_from))
    assert blocks(run).read(ROWS, (N, K)) is None
    assert "is computed again" in caplog.text and not path.exists()


def test_a_cut_file_a_pipe_and_a_folder_are_no_blocks(run):
    kept = blocks(run)
    kept.keep(ROWS, *found())
    path = only_file(run)
    path.write_bytes(path.read_bytes()[:100])
    assert blocks(run).read(ROWS, (N, K)) is None
    for make in (os.mkfifo, os.mkdir):
        make(path)
        assert blocks(run).read(ROWS, (N, K)) is None


def test_nothing_is_written_through_a_link(run, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run.discovery.symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link"):
        run.check_folders()


def test_a_full_disk_does_not_end_discovery(run, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "write_discovered", full)
    blocks(run).keep(ROWS, *found())
    assert "is not kept: [Errno 28]" in caplog.text
