"""What a process shows while the chief speaks for all."""

import io
import logging

from and_tf.cli.messages import set_up_logging
from and_tf.data.progress import progress_bar
from and_tf.training.worker_messages import only_warnings


class Terminal(io.StringIO):
    def isatty(self):
        return True


def work():
    logger = logging.getLogger("and_tf.data.decode")
    logger.info("epoch 1")
    logger.warning("%s is read, but cut off at 90 %%.", "a.jpg")
    logger.error("worker 2 is lost")
    with progress_bar(3, "decoding", mininterval=0) as bar:
        bar.update(3)


def test_its_warnings_bear_its_name_and_nothing_else_is_shown(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("and_tf.data.progress.SECONDS_BEFORE_PROGRESS", 0)
    logger = logging.getLogger("and_tf")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    set_up_logging()
    with only_warnings("worker 1"):
        work()
    shown = terminal.getvalue().replace("\r", "").strip().splitlines()
    assert shown == [
        "Warning: worker 1: a.jpg is read, but cut off at 90 %.",
        "Warning: worker 2 is lost",
    ]
    terminal.truncate(0)
    work()
    shown = terminal.getvalue()
    assert "epoch 1" in shown and "decoding" in shown and "worker 1" not in shown
