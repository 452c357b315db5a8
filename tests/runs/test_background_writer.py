"""Writing in the background: in order, one at a time, and no error is lost."""

import threading

import pytest

from and_tf.errors import Stopped
from and_tf.runs.background_writer import BackgroundWriter


def failing(text):
    def write():
        raise OSError(28, text)

    return write


def test_the_caller_goes_on_while_it_is_written_and_the_next_waits():
    writer, go, written = BackgroundWriter(), threading.Event(), []
    writer.start(lambda: (go.wait(10), written.append("first")))
    assert written == []  # and this line was reached
    writer.check()  # waits for nothing
    assert written == []
    threading.Timer(0.05, go.set).start()
    writer.start(lambda: written.append("second"))
    assert written[0] == "first"
    writer.wait()
    assert written == ["first", "second"]
    writer.wait()  # nothing is left


@pytest.mark.parametrize("call", ["wait", "check", "start"])
def test_an_error_is_raised_once_by_whatever_is_called_next(call):
    writer, written = BackgroundWriter(), []
    writer.start(failing("No space left"))
    writer._thread.join()
    arguments = [lambda: written.append(1)] if call == "start" else []
    with pytest.raises(OSError, match="No space left"):
        getattr(writer, call)(*arguments)
    writer.wait()
    assert written == []


def test_a_block_ends_when_all_is_written_and_raises_what_failed():
    writer, written, go = BackgroundWriter(), [], threading.Event()
    threading.Timer(0.05, go.set).start()
    with writer.ended():
        writer.start(lambda: (go.wait(10), written.append(1)))
    assert written == [1]
    with pytest.raises(OSError, match="full"), writer.ended():
        writer.start(failing("full"))


def test_an_error_of_the_block_comes_first_and_the_other_is_logged(caplog):
    writer, written = BackgroundWriter(), []
    with pytest.raises(ValueError, match="of the step"), writer.ended():
        writer.start(lambda: written.append(1))
        raise ValueError("of the step")
    assert written == [1] and not caplog.records
    with pytest.raises(ValueError, match="of the step"), writer.ended():
        writer.start(failing("full disk"))
        raise ValueError("of the step")
    assert "full disk" in caplog.text


def test_a_stop_does_not_hide_that_the_state_could_not_be_saved():
    writer = BackgroundWriter()
    with pytest.raises(OSError, match="full disk"), writer.ended():
        writer.start(failing("full disk"))
        raise Stopped


def test_a_second_ctrl_c_waits_for_nothing():
    writer, go = BackgroundWriter(), threading.Event()
    with pytest.raises(KeyboardInterrupt), writer.ended():
        writer.start(lambda: go.wait(10))
        raise KeyboardInterrupt
    assert writer._thread.is_alive() and writer._thread.daemon
    go.set()
    writer.wait()
