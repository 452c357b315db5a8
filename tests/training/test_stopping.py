"""Signals as requests to stop."""

import os
import signal
import threading
import time

import pytest

from and_tf.errors import Stopped
from and_tf.training.stopping import BY_THE_SYSTEM, STOP_SIGNALS, StopRequest


@pytest.fixture(autouse=True)
def handlers_as_before():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_a_second_one_is_the_systems_again(number):
    before, stop = signal.getsignal(number), StopRequest()
    with stop.watched():
        assert signal.getsignal(number) != before
        signal.raise_signal(number)
        assert stop.is_asked and signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_the_handlers_come_back_without_a_signal_too():
    before, stop = signal.getsignal(signal.SIGTERM), StopRequest()
    with stop.watched():
        pass
    assert signal.getsignal(signal.SIGTERM) == before and not stop.is_asked


def test_interruptible_work_ends_right_there():
    stop, done = StopRequest(), []
    with stop.watched(), pytest.raises(Stopped), stop.interruptible():
        done.append(1)
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)
        done.append(2)
    assert done == [1]


def test_what_a_library_makes_of_the_stop_on_its_way_is_replaced():
    stop = StopRequest()
    with stop.watched(), pytest.raises(Stopped), stop.interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped as error:
            raise RuntimeError("in user code") from error


def test_an_error_of_interruptible_work_stays_what_it_is():
    stop = StopRequest()
    with stop.watched(), pytest.raises(KeyError), stop.interruptible():
        raise KeyError


def test_interruptible_work_does_not_begin_once_a_stop_is_asked_for():
    stop = StopRequest()
    with stop.watched():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped), stop.interruptible():
            pytest.fail("it began")


def test_after_interruptible_work_a_signal_only_asks():
    stop = StopRequest()
    with stop.watched():
        with stop.interruptible():
            pass
        signal.raise_signal(signal.SIGTERM)
    assert stop.is_asked


def test_where_several_must_agree_a_signal_is_a_wish_and_interrupts_nothing():
    stop = StopRequest(is_agreed=True)
    with stop.watched(), stop.interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert stop.is_wished and not stop.is_asked
    stop.is_asked = True  # they have agreed
    with pytest.raises(Stopped), stop.interruptible():
        pytest.fail("it began")


@pytest.mark.parametrize("number", BY_THE_SYSTEM)
def test_what_the_system_sends_asks_and_is_ignored_from_then_on(number):
    stop = StopRequest()
    with stop.watched():
        signal.raise_signal(number)
        assert stop.is_asked
        signal.raise_signal(number)
    signal.raise_signal(number)  # by default it would end this process


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_that_is_ignored_stays_so(number):
    signal.signal(number, signal.SIG_IGN)
    stop = StopRequest()
    with stop.watched():
        signal.raise_signal(number)
    assert not stop.is_asked and signal.getsignal(number) == signal.SIG_IGN


def test_signals_that_come_together_ask_once():
    stop = StopRequest()
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM))  # while the first waits
    with stop.watched():
        timer.start()
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_asked
    timer.join()


def test_a_stop_needs_nobody_who_reads_of_it(monkeypatch):
    def fail(descriptor, text):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", fail)
    stop = StopRequest()
    with stop.watched():
        signal.raise_signal(signal.SIGINT)
    assert stop.is_asked


def test_work_in_another_thread_is_not_watched_and_goes_on():
    stop, done = StopRequest(), []

    def work():
        with stop.watched():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
