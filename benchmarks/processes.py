"""Runs programs of the package as processes, each on a device, and sets up logging."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from and_tf.cli import messages, train
from and_tf.errors import UserError

PROGRAMS = Path(__file__).parents[1]
MACHINE = ""  # the device on a machine without GPUs


class Process(Protocol):
    """The part of `subprocess.Popen` that is used."""

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def terminate(self) -> None: ...


def start(command: Sequence[str], log: Path, device: str) -> Process:
    """Starts a program of the package on a device; its output is appended to a log file."""
    environment = dict(os.environ)
    if device != MACHINE:
        environment["CUDA_VISIBLE_DEVICES"] = device
    words = [sys.executable, str(PROGRAMS / command[0]), *command[1:]]
    with log.open("a") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, env=environment)


def devices() -> list[str]:
    """The GPUs that TensorFlow sees, as named in CUDA_VISIBLE_DEVICES; if none, `MACHINE`."""
    import tensorflow as tf

    count = len(tf.config.list_physical_devices("GPU"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return names[:count] or [MACHINE]


def set_up_logging() -> None:
    """Logs the messages of benchmarks, with the time, to stderr."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M")
    logging.getLogger("benchmarks").setLevel(logging.INFO)


def set_up_runs() -> None:
    """Prepares a program that starts other programs and waits for them.

    Besides its own messages, it shows each warning about the settings of its runs once. SIGTERM, as
    sent by `kill`, ends the others as well.
    """
    set_up_logging()
    messages.set_up_logging(train.flags().spell)
    logging.getLogger(train.__name__).addFilter(OnceOnly())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Ends the program with the message of a `UserError`, not with a traceback."""
    try:
        yield
    except UserError as error:
        raise SystemExit(error.message(train.flags().spell)) from None


class OnceOnly(logging.Filter):
    """Drops messages that were logged before, since settings are read again for each run."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is new; see `logging.Filter.filter`."""
        text = record.getMessage()
        is_new = text not in self.logged
        self.logged.add(text)
        return is_new
