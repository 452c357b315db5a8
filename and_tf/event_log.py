"""TensorBoard's scalars: always those of metrics.jsonl, each step once."""

import sys

import tensorflow as tf

from and_tf.workdir import Workdir

PLACE = ("step", "epoch", "round")


class EventLog:
    """Writes the figures of a run to its event file.

    A run that was killed has events of steps that it repeats when it continues. Therefore a start
    throws its event files away and writes them anew from metrics.jsonl.

    Args:
        run: workdir; its metrics hold nothing beyond the step where training goes on.
    """

    def __init__(self, run: Workdir):
        for old in run.tensorboard.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = tf.summary.create_file_writer(str(run.tensorboard))
        for record in run.read_metrics():
            self.write(record)

    def write(self, record: dict) -> None:
        """Adds the figures of one record."""
        with self.writer.as_default(step=record["step"]):
            for name, value in record.items():
                if name not in PLACE:
                    tf.summary.scalar(name, value)

    def flush(self) -> None:
        try:
            self.writer.flush()
        except tf.errors.OpError as error:
            print(f"Warning: TensorBoard's file is behind ({error.message}).", file=sys.stderr)

    def close(self) -> None:
        self.flush()
        self.writer.close()
