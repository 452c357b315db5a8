"""Signals as a request to stop: after a step, or in the middle of long work."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from and_tf.errors import Stopped


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))  # not on Windows


BY_A_USER = _known("SIGINT", "SIGTERM")  # one who asks twice cannot wait
# Of a terminal that is closed, more than once; and of Slurm, some time before it ends a job.
BY_THE_SYSTEM = _known("SIGHUP", "SIGUSR1")
STOP_SIGNALS = BY_A_USER + BY_THE_SYSTEM
TOGETHER_S = 0.1  # `timeout` sends its signal to the process and at once to its group


@contextlib.contextmanager
def first_stop_signal(answer: Callable[[int], None]) -> Iterator[None]:
    """Has the first signal that asks to stop answered, until the end of the block.

    Signals that are ignored at its start stay so: SIGHUP under `nohup`, SIGINT of a background
    process of a script. Once one is answered, Ctrl-C and SIGTERM do what they did before, and those
    that the system sends are ignored, even after the block.

    Args:
        answer: gets the signal's number; may raise.
    """
    if threading.current_thread() is not threading.main_thread():  # only there Python allows it
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    watched = {n: before for n, before in handlers.items() if before not in (signal.SIG_IGN, None)}
    is_answered = False

    def handle(number, frame) -> None:
        nonlocal is_answered
        if is_answered:  # one that came together with the first
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
    """Whether a stop was asked for; a second Ctrl-C or SIGTERM ends the process at once.

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

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Lets the signals ask for a stop, until the end of the block."""
        return first_stop_signal(self._ask)

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

    def _ask(self, number: int) -> None:
        self.is_wished = True
        self.is_asked = self.is_asked or not self._is_agreed
        # Not the logger, which the signal may have interrupted.
        with contextlib.suppress(OSError):  # of `| tee`, which the same signal has ended
            os.write(2, b"Stopping as soon as the state is saved; ask once more to stop at once.\n")
        if self._is_interruptible:
            raise Stopped
