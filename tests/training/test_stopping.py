"""Signals as requests to stop."""

import signal
import time

import pytest

from and_tf.errors import Stopped
from and_tf.training.stopping import StopRequest


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
