"""Ctrl-C and SIGTERM as a request to stop: after a step, or in the middle of long work."""

import contextlib
import os
import signal
from collections.abc import Iterator

from and_tf.errors import Stopped


class StopRequest:
    """Whether a stop was asked for; a second signal ends the process at once.

    A step is ended and a checkpoint written first. Work that takes long and whose result may be
    thrown away, such as discovery or an evaluation, runs `interruptible`.

    Args:
        is_agreed: whether several processes must stop after the same step. A signal is then a wish
            alone, and interrupts nothing: whoever finds that all agree sets `is_asked`.

    Attributes:
        is_asked: whether to stop.
        is_wished: whether a signal has reached this process.
    """

    def __init__(self, is_agreed: bool = False) -> None:
        self.is_asked = self.is_wished = False
        self._is_agreed = is_agreed
        self._is_interruptible = False
        self._handlers: dict[signal.Signals, signal._HANDLER] = {}

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Lets the signals ask for a stop, until the end of the block."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._ask)
        try:
            yield
        finally:
            self._unwatch()

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that a request to stop ends right where it is.

        Nothing outside may be changed within: what the block has computed is assigned after it.

        Raises:
            Stopped: if a stop is asked for, or was before. Whatever a library has made of it on its
                way is replaced.
        """
        if self.is_asked:
            raise Stopped
        self._is_interruptible = not self._is_agreed
        try:
            yield
        except Exception as error:
            if self.is_asked:
                raise Stopped from error
            raise
        finally:
            self._is_interruptible = False

    def _ask(self, number, frame) -> None:
        self.is_wished = True
        self.is_asked = self.is_asked or not self._is_agreed
        self._unwatch()
        # Not the logger, which the signal may have interrupted.
        os.write(2, b"Stopping as soon as the state is saved; ask once more to stop at once.\n")
        if self._is_interruptible:
            raise Stopped

    def _unwatch(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
