"""The arithmetic of many GPUs, and what is measured beside it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.exchange import ALONE
from benchmarks import scale, scale_model, scale_worker
from benchmarks.discovery import clustered_rows

N = 1e8


def test_the_memory_of_a_gpu_falls_with_their_number_but_for_the_tables():
    whole, tables = 4 * 128 * N, (8 + 5) * N
    for gpus in (1, 8, 64):
        found = scale_model.costs(N, gpus)
        assert found.gpu_bytes == pytest.approx(whole / gpus + tables)
        assert found.whole_gpu_bytes == pytest.approx(whole + tables)


def test_what_a_step_exchanges_does_not_depend_on_the_images():
    few, many = (scale_model.costs(images, 64) for images in (1e6, 1e9))
    assert few.exchange == many.exchange > 0 and few.gradients == many.gradients
    assert scale_model.costs(N, 1).exchange == 0
    # Indices and embeddings twice, maxima of all replicas, totals and rows of two softmaxes.
    assert scale_model.exchanged_bytes(10, 4, gpus=2) == 2 * 10 * 24 + 2 * 2 * 40 + 2 * 4 * 10 * 5


def test_the_softmax_of_a_step_depends_on_the_images_and_the_batch_of_a_gpu_alone():
    steps = [scale_model.costs(N, gpus).softmax for gpus in (8, 64, 512)]
    assert steps == pytest.approx([steps[0]] * 3)
    assert scale_model.costs(10 * N, 8).softmax == pytest.approx(10 * steps[0], rel=1e-3)


def test_what_breaks_is_named():
    assert scale_model.breaks(scale_model.costs(1.28e6, 8)) == []
    assert "bank and tables exceed a GPU" in scale_model.breaks(scale_model.costs(1e9, 8))
    assert "bank and tables exceed a GPU" not in scale_model.breaks(scale_model.costs(1e9, 512))


def test_the_gradient_over_a_sample_is_that_of_its_loss():
    rows = clustered_rows(50, 6)
    embeddings, own, sample = rows[:3] + 0.1, np.arange(3), np.array([0, 7, 9, 30])
    loss, gradient = scale._softmax(rows, embeddings, own, sample, 0.2)
    step = 1e-6
    for place in range(6):
        moved = embeddings.astype("float64")
        moved[:, place] += step
        after, _ = scale._softmax(rows, moved, own, sample, 0.2)
        before, _ = scale._softmax(rows, embeddings.astype("float64"), own, sample, 0.2)
        np.testing.assert_allclose((after - before) / step, gradient[:, place], atol=1e-4)
    assert loss.shape == (3,)


def test_a_sample_of_all_rows_is_the_softmax_over_all_and_smaller_ones_are_further_off():
    rows = clustered_rows(2000, 8)
    losses, _ = scale._softmax(rows, rows[:5], np.arange(5), np.arange(2000), 0.1)
    logits = rows[:5].astype("float64") @ rows.T / 0.1
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), np.arange(5)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    off = [line["gradient off by, %"] for line in scale.sampled_bias(2000, 8, queries=20)]
    assert off == sorted(off, reverse=True) and off[-1] > 0


def test_a_step_and_discovery_are_measured(tmp_path, monkeypatch):
    asked = []

    def run(command, **settings):
        asked.append(command[3:])
        line = json.dumps([{"devices": 1, "ms per step": 1.0}])
        return type("Done", (), {"stdout": f"other output\n{line}\n"})

    monkeypatch.setattr(scale.subprocess, "run", run)
    path = tmp_path / "scale.json"
    scale.main([
        "--devices=1,2", "--rows=200,300", "--dim=8", f"--json={path}", "--only=measured",
    ])  # fmt: skip
    tables = json.loads(path.read_text())
    assert [words[0] for words in asked] == ["--one=1", "--one=2"]
    assert len(tables["Training step on logical devices"]) == 2
    assert [line["rows"] for line in tables["Exact discovery on this CPU"]] == [200, 300]


def test_bytes_of_a_part_are_those_of_the_rows_on_a_device(two_replicas):
    for is_sharded, rows in ((True, 15), (False, 30)):
        model = scale.small_model(two_replicas, 30, 4, is_sharded)
        assert scale.bank_bytes(two_replicas, model) == 4 * 4 * rows
        assert np.isfinite(scale._step(two_replicas, model, 6)()).all()


def test_processes_are_started_on_one_machine_and_the_first_one_tells(monkeypatch):
    asked = []

    class Process:
        returncode = 0

        def __init__(self, command, env, **settings):
            asked.append(json.loads(env["TF_CONFIG"]))
            self.rows = [{"processes": len(asked[-1]["cluster"]["worker"])}]
            self.is_ended = False

        def communicate(self, timeout):
            return f"other output\n{json.dumps(self.rows)}\n", None

        def kill(self):
            self.is_ended = True

        def wait(self):
            assert self.is_ended

    monkeypatch.setattr(scale_worker.subprocess, "Popen", Process)
    options = SimpleNamespace(workers="1,2", rows="30", batch=6, dim=4, repeats=1)
    assert scale_worker.measured(options) == [{"processes": 1}, {"processes": 2}]
    assert [config["task"]["index"] for config in asked] == [0, 0, 1]
    assert all(a.startswith("127.0.0.1:") for c in asked for a in c["cluster"]["worker"])
    monkeypatch.setattr(Process, "returncode", 1)
    with pytest.raises(RuntimeError, match="other output"):
        scale_worker.measured(options)


def test_one_process_measures_a_whole_bank():
    options = SimpleNamespace(rows="30", batch=6, dim=4, repeats=1)
    (row,) = scale_worker._measure(tf.distribute.get_strategy(), ALONE, 30, options)
    assert row["bank"] == "whole" and row["bank on a device, MB"] == 4e-6 * 4 * 30
    assert row["ms per step"] > 0 and row["arrays of discovery, MB"] > 4e-6 * 4 * 30


def test_discovery_sends_each_row_twice_and_what_is_near_of_all():
    run = scale_model.Run(dim=4, neighbours=2)
    assert scale_model.discovery_bytes(10, run, gpus=3) == 10 * (2 * 16 + 3 * 3 * 12 + 16)
    few, many = (scale_model.costs(1e6, gpus).discovery for gpus in (8, 64))
    assert few / 8 < many < few
