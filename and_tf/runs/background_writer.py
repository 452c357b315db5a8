"""Writes files while training continues, in one thread, one after the other."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from and_tf.errors import Stopped

logger = logging.getLogger(__name__)

THREAD = "background writer"


class BackgroundWriter:
    """Runs write functions in its own thread; the next call raises their errors.

    One function runs at a time; the next waits for it. A process that ends at once, such as at a
    second Ctrl-C, does not wait, so a write must be harmless if it is left half done.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, write: Callable[[], object]) -> None:
        """Starts a write once the previous one has finished.

        Args:
            write: must have all that it needs, in memory that nothing else changes.

        Raises:
            Exception: whatever the previous write raised; the new one is then not started.
        """
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(write,), name=THREAD, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises the error of the last write if it has ended; does not wait."""
        if not self.is_busy:
            self.wait()

    def wait(self) -> None:
        """Waits for the end of the last write and raises its error."""
        if self._thread is None:
            return
        self._thread.join()
        error, self._thread, self._error = self._error, None, None
        if error is not None:
            raise error

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """A block that waits for the last write at its end, even if it ends with an error.

        Raises:
            Exception: the error of the write. If the block itself raises one, that of the write is
                only logged, except if the block's is `Stopped`, which counts as no error.
        """
        try:
            yield
        except Exception as raised:
            try:
                self.wait()
            except Exception as error:
                if isinstance(raised, Stopped):
                    raise
                logger.warning("what was being written at that moment failed, too: %s", error)
            raise
        self.wait()

    def _run(self, write: Callable[[], object]) -> None:
        try:
            write()
        except BaseException as error:  # raised again by `wait`
            self._error = error


def wait_for_writers(seconds: float) -> bool:
    """Waits, for at most `seconds`, for all writers of this process; returns whether any wrote."""
    threads = [thread for thread in threading.enumerate() if thread.name == THREAD]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return bool(threads)
