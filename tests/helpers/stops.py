"""A SIGTERM, as a scheduler sends it, after a given step of training."""

import contextlib
import signal

import pytest

from and_tf.training import callbacks


@contextlib.contextmanager
def stop_after(step):
    """Within it, training in this process is asked to stop when it has taken so many steps."""
    plain = callbacks.Checkpoints.on_train_batch_end

    def stop(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == step:
            signal.raise_signal(signal.SIGTERM)
        plain(self, batch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.Checkpoints, "on_train_batch_end", stop)
        yield
