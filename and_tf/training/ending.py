"""Ends a process when another one is lost: promptly, and with a single line."""

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
LAST_STEP = 10.0  # seconds for a process that waits for a lost one to end by itself
LAST_WRITE = 15.0  # further seconds to finish the checkpoint that it is writing
LAST_LINE = 2.0  # further seconds to end by itself after that


class Ending:
    """Ends this process if it keeps waiting for another one that is lost.

    Must be created before TensorFlow's start-up messages are filtered.

    Args:
        error: function from the lost process to the error with which this process ends.
    """

    def __init__(self, error: Callable[[Lost], UserError]):
        self._error = error
        self._is_cancelled = threading.Event()
        self._lock = threading.Lock()
        self._is_silent = False
        self._aborting: threading.Thread | None = None
        self._python_stderr: TextIO | None = None  # while it is replaced
        self._stderr: int | None = None
        with contextlib.suppress(OSError):  # closed, as in a daemon
            self._stderr = os.dup(STDERR)

    def begin(self, lost: Lost) -> None:
        """Ends the process in some seconds, unless `cancel` is called before."""
        threading.Thread(target=self._end, args=(lost,), name="end", daemon=True).start()

    def cancel(self) -> None:
        """Lets the process live, since it no longer waits, and restores the output of messages."""
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
            # In a thread, since this blocks while TensorFlow is still starting.
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
        finally:  # even if the message cannot be written
            os._exit(2)

    def _leave_the_message_to_us(self) -> None:
        """Drops what TensorFlow prints when its collectives fail: many lines about a known event.

        Python's messages still go where they went before.
        """
        if self._stderr is None:
            return
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if _descriptor_of(sys.stderr) == STDERR:  # not a notebook's
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
    except (AttributeError, OSError, ValueError):  # no stream, or it has no descriptor
        return None
