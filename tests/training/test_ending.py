"""How a process ends that waits for another one that is lost."""

import contextlib
import io
import os
import sys
import threading
import time

import pytest

from and_tf.errors import Argument, WorkerLost
from and_tf.runs.background_writer import BackgroundWriter
from and_tf.training import ending
from and_tf.training.channel import Lost
from and_tf.training.ending import Ending

LOST = Lost(("worker 1 was killed",))


@pytest.fixture
def exited(monkeypatch):
    """Set where this process would have ended by status 2; it waits for moments alone."""
    found = threading.Event()
    monkeypatch.setattr(ending.os, "_exit", lambda status: found.set() if status == 2 else None)
    monkeypatch.setattr(ending, "abort_collectives", lambda reason: time.sleep(3))  # hangs, too
    monkeypatch.setattr(ending, "LAST_STEP", 0.1)
    monkeypatch.setattr(ending, "LAST_LINE", 0.1)
    return found


@pytest.fixture
def lines(monkeypatch):
    """What is logged as an error."""
    found = []
    monkeypatch.setattr(ending.logger, "error", lambda text, *parts: found.append(text % parts))
    return found


@contextlib.contextmanager
def begun():
    made = Ending(lambda lost: WorkerLost(*lost.parts, ": see ", Argument("workdir")))
    made.begin(LOST)
    try:
        yield made
    finally:
        made.cancel()


def test_a_process_that_goes_on_waiting_ends_with_the_line(exited, lines):
    with begun():
        assert exited.wait(2)
    assert lines == ["worker 1 was killed: see workdir"]


def test_a_process_that_comes_to_its_end_is_left_alone(exited, lines):
    with begun():
        pass
    assert not exited.wait(0.3) and lines == []


@pytest.mark.parametrize("is_endless", [False, True])
def test_a_checkpoint_that_is_being_written_is_waited_for_within_limits(
    exited, lines, monkeypatch, is_endless
):
    monkeypatch.setattr(ending, "LAST_WRITE", 0.2 if is_endless else 20)
    writer, released = BackgroundWriter(), threading.Event()
    writer.start(lambda: released.wait(5))
    with begun():
        assert exited.wait(0.8) == is_endless
        released.set()
        assert exited.wait(2)
    writer.wait()


def test_what_tensorflow_prints_meanwhile_is_dropped_and_descriptor_2_comes_back(
    exited, lines, capfd, monkeypatch
):
    with os.fdopen(2, "w", buffering=1, closefd=False) as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with begun() as made:
            wait_until(lambda: made._is_silent)
            os.write(2, b"E0000 of TensorFlow\n")
            print("a message", file=sys.stderr)
        assert sys.stderr is stderr
        os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a message\nafterwards\n"


def test_the_stderr_of_a_notebook_stays_where_it_is(exited, lines, monkeypatch):
    cell = io.StringIO()  # has no descriptor
    monkeypatch.setattr(sys, "stderr", cell)
    with begun() as made:
        wait_until(lambda: made._is_silent)
        assert sys.stderr is cell


def wait_until(is_reached):
    deadline = time.monotonic() + 5
    while not is_reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
