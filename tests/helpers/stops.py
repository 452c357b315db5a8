"""A SIGTERM, as a scheduler sends it, at a given step of training in this process."""

import contextlib
import signal

import pytest

from and_tf.training import callbacks


@contextlib.contextmanager
def stop_after(step):
    """Within it, a run is asked to stop when it has taken so many steps."""

    def is_due(self):
        return int(self.model.optimizer.iterations.numpy()) == step

    with _stop(callbacks.Checkpoints, "on_train_batch_end", is_due):
        yield


@contextlib.contextmanager
def stop_from(step):
    """Within it, a run is asked to stop when the first execution from this step on begins."""
    with _stop(callbacks.StepCounter, "on_train_batch_begin", lambda self: self.step >= step):
        yield


@contextlib.contextmanager
def _stop(callback, method, is_due):
    plain = getattr(callback, method)

    def stop(self, batch, logs=None):
        if is_due(self):
            signal.raise_signal(signal.SIGTERM)
        plain(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callback, method, stop)
        yield
