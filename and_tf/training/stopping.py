"""Signals that request a stop: after a step, or in the middle of long work."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from and_tf.errors import Stopped


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))  # not on Windows


BY_A_USER = _known("SIGINT", "SIGTERM")  # a second one ends the process at once
# From a closed terminal, possibly repeated; and from Slurm, some time before it ends a job.
BY_THE_SYSTEM = _known("SIGHUP", "SIGUSR1")
STOP_SIGNALS = BY_A_USER + BY_THE_SYSTEM
TOGETHER_S = 0.1  # `timeout` signals the process and, immediately after, its group


@contextlib.contextmanager
def first_stop_signal(answer: Callable[[int], None]) -> Iterator[None]:
    """Calls `answer` at the first stop signal within the block.

    Signals that are ignored when the block begins stay ignored: SIGHUP under `nohup`, SIGINT in a
    background process of a script. After the first signal, Ctrl-C and SIGTERM do what they did
    before, and those that the system sends are ignored, even after the block.

    Args:
        answer: called with the signal's number; may raise.
    """
    if threading.current_thread() is not threading.main_thread():  # Python allows it only there
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    watched = {n: before for n, before in handlers.items() if before not in (signal.SIG_IGN, None)}
    is_answered = False

    def handle(number, frame) -> None:
        nonlocal is_answered
        if is_answered:  # this one came together with the first
            return
        is_answered = True
        time.sleep(TOGETHER_S)
        restore()
        answer(number)

    def restore() -> None:
        for number, before in watched.items():
            is_over = is_answered and number in BY_THE_SYSTEM
            signal.signal(number, signal.SIG_IGN if is_over else before)

    for number in watched:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


class StopRequest:
    """Whether a stop was requested; a second Ctrl-C or SIGTERM ends the process at once.

    The current step is finished and a checkpoint written first. Long work whose result may be
    discarded, such as discovery or an evaluation, runs `interruptible`.

    Args:
        is_agreed: whether several processes must stop after the same step. A signal is then only a
            wish and interrupts nothing; `is_asked` is set once all processes have agreed.

    Attributes:
        is_asked: whether to stop.
        is_wished: whether a signal has reached this process.
    """

    def __init__(self, is_agreed: bool = False) -> None:
        self.is_asked = self.is_wished = False
        self._is_agreed = is_agreed
        self._is_interruptible = False

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """A block in which signals request a stop."""
        return first_stop_signal(self._ask)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that a stop request ends immediately.

        It must not change anything outside: what it computes is assigned after the block.

        Raises:
            Stopped: if a stop is requested, or was before; also in place of another exception that
                a library has turned it into.
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

    def _ask(self, number: int) -> None:
        self.is_wished = True
        self.is_asked = self.is_asked or not self._is_agreed
        # Not the logger, which the signal may have interrupted.
        with contextlib.suppress(OSError):  # such as of `| tee`, which the same signal has ended
            os.write(2, b"Stopping as soon as the state is saved; ask once more to stop at once.\n")
        if self._is_interruptible:
            raise Stopped
