"""Files that are written while training goes on, by one thread, one after the other."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from and_tf.errors import Stopped

logger = logging.getLogger(__name__)

THREAD = "background writer"


class BackgroundWriter:
    """Writes in a thread of its own what it is given; its errors are raised by the next call.

    One piece of work is done at a time: the next waits for it. A process that ends at once, as by a
    second Ctrl-C, does not wait: what is written then must be harmless when it is left half done.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being written."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, write: Callable[[], object]) -> None:
        """Begins to write, after what was begun before.

        Args:
            write: has all that it needs, in memory that nobody else changes.

        Raises:
            Exception: whatever the work before raised; the new one is not begun then.
        """
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(write,), name=THREAD, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what the work has raised, if it has ended; waits for nothing."""
        if not self.is_busy:
            self.wait()

    def wait(self) -> None:
        """Waits for the end of the work, and raises what it has raised."""
        if self._thread is None:
            return
        self._thread.join()
        error, self._thread, self._error = self._error, None, None
        if error is not None:
            raise error

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """A block at whose end all is written, also where it ends by an error.

        Raises:
            Exception: of the work, unless the block raises an error of its own: the other is then
                logged. `Stopped` is none.
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
        except BaseException as error:  # raised again where it is waited for
            self._error = error


def wait_for_writers(seconds: float) -> bool:
    """Waits, at most so long, for what all writers of this process write; whether any did."""
    threads = [thread for thread in threading.enumerate() if thread.name == THREAD]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return bool(threads)
