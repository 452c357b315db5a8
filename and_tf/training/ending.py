"""How a process ends when another one is lost: in time, and with one line."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from and_tf.errors import UserError
from and_tf.runs.background_writer import wait_for_writers
from and_tf.training.channel import Lost
from and_tf.training.strategy import abort_collectives

logger = logging.getLogger(__name__)

STDERR = 2  # descriptor
LAST_STEP = 10.0  # seconds in which a process comes to its end that waits for one that is lost
LAST_WRITE = 15.0  # seconds that it has besides, to end the checkpoint that it is writing
LAST_LINE = 2.0  # seconds from then on until it has ended by itself


class Ending:
    """Ends this process if it goes on waiting for another one that is lost.

    It is made before what TensorFlow prints at its start is filtered.

    Args:
        error: what the process ends with, by what was lost.
    """

    def __init__(self, error: Callable[[Lost], UserError]):
        self._error = error
        self._is_cancelled = threading.Event()
        self._lock = threading.Lock()
        self._is_silent = False
        self._aborting: threading.Thread | None = None
        self._python_stderr: TextIO | None = None  # while another one stands in its place
        self._stderr: int | None = None
        with contextlib.suppress(OSError):  # closed, as of a daemon
            self._stderr = os.dup(STDERR)

    def begin(self, lost: Lost) -> None:
        """Ends the process some seconds from now, unless `cancel` is called before."""
        threading.Thread(target=self._end, args=(lost,), name="end", daemon=True).start()

    def cancel(self) -> None:
        """Lets the process live, for it waits no more. All messages go where they went before."""
        with self._lock:
            self._is_cancelled.set()
            if self._aborting is not None:
                self._aborting.join(LAST_LINE)  # TensorFlow prints several lines then
            self._speak_again()

    def _end(self, lost: Lost) -> None:
        with self._lock:
            if self._is_cancelled.is_set():
                return
            self._leave_the_message_to_us()
            # In a thread, for it waits where TensorFlow is still starting.
            self._aborting = threading.Thread(
                target=abort_collectives, args=(str(lost),), name="abort", daemon=True
            )
            self._aborting.start()
        if self._is_cancelled.wait(LAST_STEP):
            return
        if wait_for_writers(LAST_WRITE) and self._is_cancelled.wait(LAST_LINE):
            return
        try:
            parts = self._error(lost).parts
            logger.error("%s" * len(parts), *parts)
        finally:  # also where nobody reads it
            os._exit(2)

    def _leave_the_message_to_us(self) -> None:
        """Drops what TensorFlow prints when its collectives fail: many lines on one event, which is
        known. Messages of Python go on to where they went."""
        if self._stderr is None:
            return
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if _descriptor_of(sys.stderr) == STDERR:  # not that of a notebook
                kept = os.fdopen(os.dup(self._stderr), "w", buffering=1, errors="backslashreplace")
                self._python_stderr, sys.stderr = sys.stderr, kept
            os.dup2(nowhere, STDERR)
            os.close(nowhere)
            self._is_silent = True

    def _speak_again(self) -> None:
        if self._stderr is None:
            return
        if self._is_silent:
            os.dup2(self._stderr, STDERR)
        if self._python_stderr is not None:
            sys.stderr = self._python_stderr
        os.close(self._stderr)
        self._stderr = None


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):  # none there, or it has none
        return None
