import logging
import time

import pytest

from and_tf.training import heartbeat
from and_tf.training.heartbeat import EVERY, Heartbeat


@pytest.fixture(autouse=True)
def logged(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("and_tf"), "propagate", True)
    caplog.set_level(logging.INFO, "and_tf")


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_logs_what_is_done_while_nothing_else_happens(caplog):
    with Heartbeat(every=0.02).beating() as beats:
        beats.describe("reading images")
        wait_for(lambda: caplog.messages)
        beats.describe_by(lambda: "step 3")
        wait_for(lambda: "step 3" in caplog.messages)
    assert caplog.messages[0].startswith("Still reading images, for ")


def test_it_is_silent_after_its_end_and_after_an_error(caplog):
    with pytest.raises(KeyError), Heartbeat(every=0.02).beating() as beats:
        raise KeyError
    assert beats.is_over
    said = len(caplog.messages)
    time.sleep(0.1)
    assert len(caplog.messages) == said


def test_ten_seconds_never_pass_without_a_sign():
    assert EVERY < 10 and heartbeat.Heartbeat().every == EVERY
