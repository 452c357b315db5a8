"""What a heartbeat is told of the first epoch."""

import types

import pytest

from and_tf.training.callbacks import FirstEpoch, first_epoch
from and_tf.training.heartbeat import Heartbeat


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(first_epoch, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def callback():
    callback = FirstEpoch(Heartbeat(), batch_size=32)
    callback.set_params({"steps": 12})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    return callback


def test_before_the_first_step_it_is_the_pipeline_and_the_compiler(callback):
    assert "compiling the first step" in callback.heartbeat.line()


def test_steps_are_told_with_loss_and_rate(callback, clock):
    callback.on_train_batch_end(0, {"loss": 4.25})
    assert callback.heartbeat.line() == "step 1/12 of the epoch  loss 4.250"
    clock.seconds += 2
    callback.on_train_batch_end(3, {"loss": 4.0})
    assert callback.heartbeat.line() == "step 4/12 of the epoch  loss 4.000  48 images/s"
    clock.seconds += 30
    assert callback.heartbeat.line().endswith("30s in the next step")


def test_an_execution_that_passes_the_epochs_end_counts_to_the_end(callback, clock):
    callback.on_train_batch_end(49, {})
    assert callback.heartbeat.line().startswith("step 12/12")


def test_the_heartbeat_ends_when_a_second_epoch_begins_or_training_ends(callback, clock):
    callback.on_train_batch_end(11, {})
    callback.on_epoch_end(0)
    assert "evaluating" in callback.heartbeat.line() and not callback.heartbeat.is_over
    callback.on_epoch_begin(1)
    assert callback.heartbeat.is_over
