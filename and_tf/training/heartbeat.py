"""A message every few seconds until the first epoch shows how fast a run is."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from and_tf.training.durations import clock

logger = logging.getLogger(__name__)

EVERY = 8.0  # seconds, so that a message comes at least every ten


class Heartbeat:
    """Logs, from its own thread, what a run is doing until its first epoch has ended.

    Args:
        every: seconds between two messages.

    Example:

    >>> with Heartbeat().beating() as heartbeat:
    ...     heartbeat.describe("reading images")
    """

    def __init__(self, every: float = EVERY):
        self.every = every
        self._describe: Callable[[], str] = lambda: "starting"
        self._began = time.monotonic()
        self._is_over = threading.Event()

    @contextlib.contextmanager
    def beating(self) -> Iterator["Heartbeat"]:
        """Logs until the end of the block, or until `end`."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.end()
            thread.join()

    def describe(self, work: str) -> None:
        """Sets what is being done from now on, such as "reading images"."""
        began = time.monotonic()
        self._describe = lambda: f"Still {work}, for {clock(time.monotonic() - began)} now."

    def describe_by(self, describe: Callable[[], str]) -> None:
        """Sets the function that returns the message from now on; the thread calls it."""
        self._describe = describe

    def end(self) -> None:
        """Stops logging."""
        self._is_over.set()

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    def line(self) -> str:
        """The message that describes what is being done."""
        return self._describe()

    def _beat(self) -> None:
        while not self._is_over.wait(self.every):
            logger.info("%s", self.line())
