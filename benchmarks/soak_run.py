"""train.py that tells on a pipe what it is doing, so that a soak test can kill it right there.

python -m benchmarks.soak_run FD [--small] FLAGS: writes a line for each phase that begins or ends,
and the step after each step, to the file descriptor FD.
"""

import functools
import os
import signal
import sys

from and_tf.cli import train
from and_tf.export import run as exporting
from and_tf.methods.anchor_neighbourhoods import curriculum
from and_tf.runs import checkpoint
from and_tf.training import loop as training
from and_tf.training.callbacks import RunLog
from and_tf.training.online_evaluation import Monitor
from benchmarks.soak_small import make_programs_small

PHASES = ("training", "discovery", "evaluation", "checkpoint", "export")


def main() -> int:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # started with nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    tell = functools.partial(_tell, int(sys.argv[1]))
    flags = sys.argv[2:]
    if "--small" in flags:
        flags.remove("--small")
        make_programs_small()
    curriculum.discover = _within("discovery", curriculum.discover, tell)
    Monitor.measure = _within("evaluation", Monitor.measure, tell)
    checkpoint.save = _within("checkpoint", checkpoint.save, tell)
    exporting.write_export = _within("export", exporting.write_export, tell)
    after_restore = training.continue_run

    def continued(experiment, *others):
        interrupted = after_restore(experiment, *others)
        tell(f"continues {experiment.step}")
        return interrupted

    training.continue_run = continued
    after_batch = RunLog.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        after_batch(self, batch, logs)
        tell(f"step {int(self.model.optimizer.iterations.numpy())}")

    RunLog.on_train_batch_end = on_train_batch_end
    tell("start")
    status = train.main(flags)
    tell("end")
    return status


def _tell(descriptor: int, words: str) -> None:
    os.write(descriptor, f"{words}\n".encode())


def _within(phase, function, tell):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        tell(phase)
        try:
            return function(*args, **kwargs)
        finally:
            tell("training")

    return wrapped


if __name__ == "__main__":
    sys.exit(main())
