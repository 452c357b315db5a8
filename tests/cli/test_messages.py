import logging

import pytest

from and_tf.cli.messages import set_up_logging
from and_tf.errors import Argument

logger = logging.getLogger("and_tf.sample")


@pytest.fixture(autouse=True)
def as_before():
    yield
    set_up_logging()


def test_arguments_in_a_message_are_spelled_as_flags(capsys):
    set_up_logging(lambda argument: f"--{argument.name}={argument.value}")
    logger.info("name them by %s (%d)", Argument("data", "x"), 3)
    logger.warning("train.py is old")
    assert capsys.readouterr().err == "name them by --data=x (3)\nWarning: train.py is old\n"


def test_messages_name_installed_programs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/usr/bin/and-train"])
    set_up_logging()
    logger.info("see %s", "report.py")
    assert capsys.readouterr().err == "see and-report\n"


def test_other_handlers_see_the_arguments_as_python_writes_them(monkeypatch, caplog, capsys):
    set_up_logging(lambda argument: f"--{argument.name}")
    monkeypatch.setattr(logging.getLogger("and_tf"), "propagate", True)
    logger.warning("%s has no effect", Argument("update", True))
    assert capsys.readouterr().err == "Warning: --update has no effect\n"
    assert "update=True has no effect" in caplog.text
