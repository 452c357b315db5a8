"""The training bank as the reference of an evaluation."""

import numpy as np
import pytest
from helpers.report_runs import encoder_arrays, make_run, save_images, settings_of

from and_tf.data.sources.opening import open_source
from and_tf.errors import UserError
from and_tf.evaluation.run import _memory_bank
from and_tf.runs import checkpoint


def run_with_bank(folder, *flags):
    """A run of 12 images whose checkpoint holds an array named `bank`, and its images."""
    data = save_images(folder / "i.npz", 12, 2)
    run = make_run(folder / "run", data, "--rounds=1", *flags)
    bank = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    checkpoint.save(run.checkpoint, encoder_arrays(settings_of(data)) | {"bank": bank}, {"step": 4})
    return run, open_source(data.partition("=")[2], "train"), bank


def test_the_array_that_the_method_names_is_read_and_nothing_else(tmp_path, monkeypatch):
    run, images, bank = run_with_bank(tmp_path)
    read = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda *args: read.append(load(*args)) or read[-1])
    np.testing.assert_array_equal(_memory_bank(run, "last", images), bank)
    assert [set(arrays) for arrays, _ in read] == [{"bank"}]


def test_a_method_that_names_no_bank_has_none(tmp_path):
    run, images, _ = run_with_bank(tmp_path, "--method=random")
    with pytest.raises(UserError, match="holds no bank"):
        _memory_bank(run, "last", images)
