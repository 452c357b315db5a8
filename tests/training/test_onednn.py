"""A run goes on with the choice of oneDNN that it began with, or a user is told."""

import json
import logging
import os

import pytest

from and_tf.errors import UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.onednn import VARIABLE, check_onednn, onednn


@pytest.fixture
def run(tmp_path):
    def began_with(**metadata):
        (tmp_path / "run.json").write_text(json.dumps({"mean": [0.0], "std": [1.0]} | metadata))
        return Workdir(tmp_path)

    return began_with


@pytest.mark.parametrize(
    ("value", "name"),
    [("1", "on"), ("true", "on"), ("0", "off"), ("false", "off"), (None, "default")],
)
def test_the_choice_is_that_of_the_environment(monkeypatch, value, name):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert onednn() == name


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_same_choice_and_one_that_was_not_kept_are_taken(
    run, monkeypatch, caplog, deterministic
):
    monkeypatch.setenv(VARIABLE, "1")
    for known in ({"onednn": "on"}, {}):
        check_onednn(run(**known), deterministic)
    assert not caplog.messages


def test_another_choice_is_warned_of_and_refused_where_the_result_is_promised(
    run, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("and_tf"), "propagate", True)
    monkeypatch.setenv(VARIABLE, "0")
    check_onednn(run(onednn="on"), deterministic=False)
    (message,) = set(caplog.messages)
    assert "began with oneDNN on, and now it is off" in message and f"set {VARIABLE}=1." in message
    with pytest.raises(UserError, match=f"its result would differ: set {VARIABLE}=1") as raised:
        check_onednn(run(onednn="on"), deterministic=True)
    name, _, value = str(raised.value).rpartition("set ")[2].rstrip(".").partition("=")
    monkeypatch.setitem(os.environ, name, value)  # the remedy
    check_onednn(run(onednn="on"), deterministic=True)
