"""The benchmark of the training step: what it measures and shows, not how fast it is."""

import json
import sys
import threading
import time
import types

import numpy as np
import pytest

from benchmarks import step as benchmark
from benchmarks import step_cases

pytestmark = pytest.mark.usefixtures("thin_resnet")

TINY = types.SimpleNamespace(batch=8, rows=40)


def test_bare_step_and_fit_train_alike():
    bare = step_cases.bare_step("resnet_small", TINY)
    losses = [float(bare()) for _ in range(3)]
    fit = step_cases.fit_step("resnet_small", TINY)
    for _ in range(3):
        fit()
    # The metric is the mean loss of the steps so far.
    assert float(fit.model.loss_tracker.result()) == pytest.approx(np.mean(losses), rel=1e-4)
    fit.end()


def test_a_running_fit_does_a_step_a_call_and_none_in_between():
    fit = step_cases.fit_step("resnet_small", TINY)
    for steps in (1, 2):
        fit()
        assert int(fit.model.optimizer.iterations.numpy()) == steps
    fit.end()
    assert int(fit.model.optimizer.iterations.numpy()) in (2, 3)  # it may end without another one


def test_a_running_fit_that_sees_the_end_before_another_step_ends():
    class Model:
        stop_training = False

        def fit(self, batches, callbacks, **others):
            callbacks[0].on_train_batch_begin(0, None)
            callbacks[0].on_train_batch_end(0, None)
            while not self.stop_training:
                time.sleep(0.01)

    fit = step_cases.RunningFit(Model(), None)
    fit()
    ending = threading.Thread(target=fit.end, daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()


def test_an_error_within_fit_is_raised_by_the_call():
    fit = step_cases.fit_step("resnet_small", TINY)
    fit.model.bank.rows.assign(np.full((40, 128), np.nan))
    with pytest.raises(Exception, match="NaN or infinite"):
        fit()


def test_table_and_json_hold_a_row_a_case(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "found.json"
    flags = ["--encoders=resnet_small", "--batch=8", "--rows=40", "--repeats=2", "--steps=1"]
    flags += ["--cases=bare/PyTorch", f"--json={path}"]
    monkeypatch.setattr(sys, "argv", ["step", *flags])
    benchmark.main()
    rows = json.loads(path.read_text())["rows"]
    assert [row["case"] for row in rows] == ["bare", "PyTorch"]
    assert rows[0]["over bare, %"] == 0 and rows[1]["of PyTorch's"] == 1
    assert all(row["images/s"] > 0 for row in rows)


def test_an_unknown_case_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["step", "--cases=fit/warp"])
    with pytest.raises(SystemExit, match="Unknown cases: warp"):
        benchmark.main()
