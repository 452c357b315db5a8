"""What the rest of a run takes is logged once, after the first steps."""

import logging
import types

import pytest

from and_tf.methods.rounds import RoundPlan
from and_tf.training.callbacks import CostEstimate, StepCounter, cost_estimate


@pytest.fixture(autouse=True)
def logged(caplog, monkeypatch):
    """Messages, also where a program has set up the logging of its own."""
    monkeypatch.setattr(logging.getLogger("and_tf"), "propagate", True)
    caplog.set_level(logging.INFO, "and_tf")


class Drive:
    """Calls the callbacks as `fit` would, on a clock of its own; gives what they logged."""

    def __init__(self, monkeypatch, caplog, steps_per_execution=1, steps_per_epoch=12, first=0):
        self.now, self.caplog = 1000.0, caplog
        clock = types.SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(cost_estimate, "time", clock)
        plan = RoundPlan(4, 200)
        self.counter = StepCounter(1000, steps_per_epoch)
        self.estimate = CostEstimate(self.counter, plan, steps_per_epoch)
        self.size, self.per_epoch = steps_per_execution, steps_per_epoch
        self.iterations = first
        optimizer = types.SimpleNamespace(iterations=self)
        for callback in (self.counter, self.estimate):
            callback.set_model(types.SimpleNamespace(optimizer=optimizer))

    def numpy(self):
        return self.iterations

    def fit(self, steps, seconds=2.0, first_seconds=60.0, between=500.0):
        """So many steps: the first execution compiles, and between epochs something is measured."""
        last = self.iterations + steps
        self._call("on_train_begin")
        while self.iterations < last:
            left = self.per_epoch - self.iterations % self.per_epoch
            for callback in (self.counter, self.estimate):
                callback.set_params({"steps": left})
            self.now += between
            self._call("on_epoch_begin", self.iterations // self.per_epoch)
            for start in range(0, left, self.size):
                done = min(self.size, left - start)
                self.iterations += done
                self.now += done * seconds + first_seconds
                first_seconds = 0
                self._call("on_train_batch_end", start + self.size - 1)
                if self.iterations >= last:
                    break
            self.now += between
            self._call("on_epoch_end", 0)
        logged = self.caplog.messages
        self.caplog.clear()
        return "".join(logged)

    def _call(self, name, *args):
        for callback in (self.counter, self.estimate):
            getattr(callback, name)(*args)


def test_the_cost_is_logged_once_after_3_steps(monkeypatch, caplog):
    drive = Drive(monkeypatch, caplog)
    assert drive.fit(2) == ""
    # 1,000 epochs of 12 steps of 2 s, less the 3 that are done.
    expected = (
        "About 24s per epoch, 6h39m to the end of epoch 1,000; evaluations and 4 round starts "
    )
    assert drive.fit(1, first_seconds=0) == expected + "take extra time."
    assert drive.fit(100, first_seconds=0) == ""


@pytest.mark.parametrize(("seconds", "words"), [(2.2, ""), (4.0, "From more steps, about 48s per")])
def test_the_cost_is_logged_again_where_20_steps_tell_otherwise(
    monkeypatch, caplog, seconds, words
):
    drive = Drive(monkeypatch, caplog)
    assert drive.fit(3).startswith("About 24s")
    said = drive.fit(17, seconds=seconds, first_seconds=0)
    assert said.startswith(words) and bool(said) == bool(words)
    assert drive.fit(100, seconds=20.0, first_seconds=0) == ""


def test_the_cost_is_measured_over_whole_executions_after_the_first(monkeypatch, caplog):
    drive = Drive(monkeypatch, caplog, steps_per_execution=50, steps_per_epoch=391)
    assert drive.fit(50) == ""
    assert drive.fit(50, seconds=0.01, first_seconds=0).startswith(
        "About 3.9s per epoch, 1h05m to "
    )


def test_the_cost_is_logged_again_of_a_continued_run(monkeypatch, caplog):
    drive = Drive(monkeypatch, caplog, first=12 * 600 - 10)
    said = drive.fit(20)
    assert said.startswith("About 24s per epoch, 2h40m to the end of epoch 1,000; ")
    assert "and 2 round starts take extra time" in said
    drive = Drive(monkeypatch, caplog, first=12 * 1000 - 10)
    assert drive.fit(2) == ""  # fewer steps than the measurement takes
