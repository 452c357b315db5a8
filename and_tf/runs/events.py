"""TensorBoard's scalars: always those of metrics.jsonl, each step once."""

import sys
from collections.abc import Callable

import tensorflow as tf

from and_tf.runs.workdir import Workdir

PLACE = ("step", "epoch", "round")


class EventLog:
    """Writes the figures of a run to its event file; a full disk does not end the run.

    A run that was killed has events of steps that it repeats when it continues. Therefore a start
    throws its event files away and writes them anew from metrics.jsonl. So does the end of a run
    whose file was left behind by a full disk.

    Args:
        run: workdir; its metrics hold nothing beyond the step where training goes on.
    """

    def __init__(self, run: Workdir):
        self.run = run
        self._write_anew()

    def write(self, record: dict) -> None:
        """Adds the figures of one record."""
        self._attempt(lambda: self._write(record))

    def flush(self) -> None:
        self._attempt(lambda: self.writer.flush())

    def close(self) -> None:
        """Ends the file, after a last try to write what it lacks."""
        if self.is_behind:
            self._write_anew()
        self._attempt(lambda: self.writer.close())

    def _write_anew(self) -> None:
        for old in self.run.tensorboard.glob("events.out.tfevents.*"):
            old.unlink()
        self.is_behind = False
        self._attempt(self._open)
        for record in self.run.read_metrics():
            self.write(record)

    def _open(self) -> None:
        self.writer = tf.summary.create_file_writer(str(self.run.tensorboard))

    def _write(self, record: dict) -> None:
        with self.writer.as_default(step=record["step"]):
            for name, value in record.items():
                if name not in PLACE:
                    tf.summary.scalar(name, value)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Does it, unless the file is behind already; falls behind if it fails."""
        if self.is_behind:
            return
        try:
            action()
        except tf.errors.OpError as error:
            self.is_behind = True
            reason = " ".join(str(error).split())[-200:]
            print(f"Warning: TensorBoard's file is behind: {reason}", file=sys.stderr)
