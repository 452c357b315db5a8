"""TensorBoard's scalars: always those of metrics.jsonl, each step once."""

import contextlib
import errno
import os
from collections.abc import Iterator

import tensorflow as tf

from and_tf.runs.workdir import Workdir

PLACE = ("step", "epoch", "round")


class EventLog:
    """Writes the metrics of a run to its event file.

    A run that was killed has events of steps that it repeats when it continues. Therefore a start
    deletes its event files and writes them anew from metrics.jsonl.

    Args:
        run: folder; its metrics hold nothing beyond the step where training goes on.

    Raises:
        OSError: here and in each method, if the file cannot be written.
    """

    def __init__(self, run: Workdir):
        self.folder = run.tensorboard
        for old in self.folder.glob("events.out.tfevents.*"):
            old.unlink()
        with self._system_errors():
            self.writer = tf.summary.create_file_writer(str(self.folder))
        for record in run.read_metrics():
            self.write(record)

    def write(self, record: dict) -> None:
        """Adds the metrics of one record."""
        with self._system_errors(), self.writer.as_default(step=record["step"]):
            for name, value in record.items():
                if name not in PLACE:
                    tf.summary.scalar(name, value)

    def close(self) -> None:
        """Writes what is left and ends the file."""
        with self._system_errors():
            self.writer.close()

    @contextlib.contextmanager
    def _system_errors(self) -> Iterator[None]:
        """TensorFlow's own errors as those of the system: a full disk is no lack of memory."""
        try:
            yield
        except tf.errors.OpError as error:
            is_full = isinstance(error, tf.errors.ResourceExhaustedError)
            code = errno.ENOSPC if is_full else errno.EIO
            raise OSError(code, os.strerror(code), str(self.folder)) from error
