"""Native calls that are answered with a signal in between."""

import signal
import threading
import time

import pytest

from and_tf.errors import Stopped
from and_tf.search.native import call_natively
from and_tf.training.stopping import StopRequest


def test_it_gives_what_the_call_gives():
    assert call_natively(divmod, 7, 2) == (3, 1)


def test_it_raises_what_the_call_raises():
    with pytest.raises(ZeroDivisionError):
        call_natively(divmod, 7, 0)


def test_a_signal_ends_the_wait_for_a_call_that_does_not_come_back():
    never, stop = threading.Event(), StopRequest()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM])
    with stop.watched(), pytest.raises(Stopped), stop.interruptible():
        timer.start()
        began = time.monotonic()
        call_natively(never.wait, 60)  # holds no lock of Python, as faiss
    assert time.monotonic() - began < 10
    never.set()
