"""TensorBoard's scalars, which always equal those of metrics.jsonl, with each step once."""

import tensorflow as tf

from and_tf.runs.system_errors import system_errors
from and_tf.runs.workdir import Workdir

PLACE = ("step", "epoch", "round")


class EventLog:
    """Writes the metrics of a run to its event file.

    A run that was killed has events of steps that it repeats when it continues, so every start
    deletes its event files and rewrites them from metrics.jsonl.

    Args:
        run: the run's folder; its metrics must not go beyond the step where training continues.

    Raises:
        OSError: here and in each method, if the file cannot be written.
    """

    def __init__(self, run: Workdir):
        self.folder = run.tensorboard
        for old in self.folder.glob("events.out.tfevents.*"):
            old.unlink()
        with system_errors(self.folder):
            self.writer = tf.summary.create_file_writer(str(self.folder))
        for record in run.read_metrics():
            self.write(record)

    def write(self, record: dict) -> None:
        """Adds the metrics of one record."""
        with system_errors(self.folder), self.writer.as_default(step=record["step"]):
            for name, value in record.items():
                if name not in PLACE:
                    tf.summary.scalar(name, value)

    def close(self) -> None:
        """Writes what is pending and closes the file."""
        with system_errors(self.folder):
            self.writer.close()
