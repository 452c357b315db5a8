"""Checkpoints: the state of one step, copied once and written while training goes on."""

import threading
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from and_tf.errors import UserError
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import atomic_files, checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks.checkpoints import BEST_BY, Checkpoints
from and_tf.training.settings import RunSettings
from and_tf.training.stopping import StopRequest


class Model:
    """What checkpoints ask of a model: an encoder, a bank, entropies, an optimizer."""

    agreement = None  # of no other processes

    def __init__(self):
        layer = keras.layers.Dense(2, name="fc")
        self.encoder = keras.Sequential([keras.Input((3,)), layer])
        self.bank = keras.Variable(np.zeros((5, 2), "float32"), name="bank")
        self.entropy = keras.Variable(np.zeros(5, "float32"), name="entropy")
        self.optimizer = SimpleNamespace(iterations=keras.Variable(0, dtype="int64"), variables=[])
        self.loss_tracker = SimpleNamespace(variables=[])
        self.stop_training = False

    def state(self):
        return self.round_state() | {"bank": self.bank}

    def round_state(self):
        return {"entropy": self.entropy}


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def run(tmp_path):
    return Workdir(tmp_path / "run")


def checkpoints(model, run, epochs=2, rounds=1):
    counter = SimpleNamespace(step=0, is_epoch_end=True)
    monitor = SimpleNamespace(state={}, best=-1.0)
    plan = RoundPlan(rounds=rounds, epochs_per_round=epochs)
    run.path.mkdir(exist_ok=True)
    found = Checkpoints(run, RunSettings(), plan, counter, monitor, StopRequest(), dict)
    found.set_model(model)
    return found


def end_epoch(callback, epoch, **logs):
    """An epoch of four steps ends, the last of which has changed all weights."""
    callback.model.optimizer.iterations.assign(4 * (epoch + 1))
    callback.counter.step = 4 * (epoch + 1)
    callback.model.bank.assign(np.full((5, 2), float(epoch + 1)))
    callback.on_epoch_end(epoch, logs)


def held_back(monkeypatch, go):
    """Lets no checkpoint be written before `go`."""
    plain = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *args: (go.wait(10), plain(*args)))


def test_what_is_written_is_the_state_when_it_was_asked_for(model, run, monkeypatch):
    go = threading.Event()
    held_back(monkeypatch, go)
    callback = checkpoints(model, run)
    end_epoch(callback, 0)
    assert not run.checkpoint.exists()  # training goes on
    model.bank.assign(np.full((5, 2), 9.0))
    model.encoder.set_weights([np.full_like(w, 9) for w in model.encoder.get_weights()])
    go.set()
    callback.writer.wait()
    arrays, metadata = checkpoint.load(run.checkpoint)
    assert metadata["step"] == 4 and (arrays["bank"] == 1).all()
    assert not (arrays["encoder/fc/kernel"] == 9).any()


def test_the_next_checkpoint_waits_for_the_one_before_which_is_kept(model, run):
    callback = checkpoints(model, run)
    for epoch in range(2):
        end_epoch(callback, epoch)
    callback.writer.wait()
    paths = (run.checkpoint, run.previous_checkpoint)
    assert [checkpoint.load(path)[1]["step"] for path in paths] == [8, 4]


def test_an_error_of_the_writer_ends_training_at_the_next_step(model, run, monkeypatch):
    go = threading.Event()

    def full(*args):
        go.wait(10)
        raise OSError(28, "No space left on device")

    callback = checkpoints(model, run)
    end_epoch(callback, 0)
    callback.writer.wait()
    monkeypatch.setattr(checkpoint, "save", full)
    end_epoch(callback, 1)
    callback.on_train_batch_end(0)  # nothing is known of it yet
    go.set()
    callback.writer._thread.join()
    with pytest.raises(OSError, match="No space left"):
        callback.on_train_batch_end(0)
    assert checkpoint.load(run.checkpoint)[1]["step"] == 4


def test_a_state_that_is_not_finite_is_refused_with_the_remedy(model, run):
    callback = checkpoints(model, run)
    model.optimizer.iterations.assign(3)
    model.bank.assign(np.full((5, 2), np.nan))
    callback.save()
    with pytest.raises(UserError, match=r"after step 3: bank hold NaN .* Lower learning_rate"):
        callback.writer.wait()
    assert not run.checkpoint.exists()


def test_the_end_of_a_round_that_is_the_best_epoch_is_one_file_of_two_names(model, run):
    callback = checkpoints(model, run)
    end_epoch(callback, 0, **{BEST_BY: 40.0})  # the best in the middle of a round
    end_epoch(callback, 1, **{BEST_BY: 50.0})  # and at its end
    callback.writer.wait()
    assert run.best_checkpoint.samefile(run.round_file(0))
    arrays, metadata = checkpoint.load(run.best_checkpoint)
    assert metadata == {"step": 8, "epoch": 2, "round": 0, BEST_BY: 50.0}
    assert set(arrays) == {"encoder/fc/kernel", "encoder/fc/bias", "entropy"}
    end_epoch(callback, 2, **{BEST_BY: 60.0})
    callback.writer.wait()
    assert checkpoint.load(run.round_file(0))[1]["epoch"] == 2  # left alone
    assert checkpoint.load(run.best_checkpoint)[1] == {"step": 12, "epoch": 3, BEST_BY: 60.0}


def test_without_hard_links_the_best_is_written_beside_the_round(model, run, monkeypatch):
    def refuse(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(atomic_files.os, "link", refuse)
    callback = checkpoints(model, run, epochs=1)
    end_epoch(callback, 0, **{BEST_BY: 40.0})
    callback.writer.wait()
    assert not run.best_checkpoint.samefile(run.round_file(0))
    for path in (run.best_checkpoint, run.round_file(0)):
        assert checkpoint.load(path)[1]["step"] == 4


def test_a_state_that_is_saved_is_not_copied_again(model, run, monkeypatch):
    callback = checkpoints(model, run)
    end_epoch(callback, 0)
    callback.writer.wait()
    monkeypatch.setattr(checkpoint, "values", None)
    callback.save()
    callback.stop.is_asked = True  # in the middle of an epoch, after the step that was saved
    callback.on_epoch_end(2, {})
    assert model.stop_training


def test_a_process_that_writes_nothing_gives_its_part_and_copies_nothing(model, run):
    callback, given = checkpoints(model, run), []
    run.is_writable = False
    whole = SimpleNamespace(take_part=lambda: given.append("part"))
    model.state = lambda: model.round_state() | {"bank": whole}
    end_epoch(callback, 0)
    assert given == ["part"] and callback.saved_step == 4
    assert not callback.writer.is_busy and not run.checkpoint.exists()
