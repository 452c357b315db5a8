"""Of several writers to a folder one waits for the other."""

import os
import threading

from and_tf.runs import folder_lock
from and_tf.runs.folder_lock import locked_folder


def test_a_second_writer_waits_and_says_so(tmp_path, monkeypatch):
    events, told, is_waiting = [], [], threading.Event()

    def tell(*message):
        told.append(message[0] % message[1:])
        is_waiting.set()

    monkeypatch.setattr(folder_lock.logger, "info", tell)

    def second():
        with locked_folder(tmp_path):
            events.append("second")

    with locked_folder(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert is_waiting.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["first", "second"]
    assert told == [f"Another process is writing to {tmp_path}: waiting for it to end."]
    assert not os.listdir(tmp_path)


def test_where_folders_cannot_be_locked_nothing_is_waited_for(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(folder_lock.fcntl, "flock", refuse)
    with locked_folder(tmp_path):
        assert tmp_path.is_dir()
