"""Flags of XLA in the environment, of which a wrong one ends the process that starts TensorFlow."""

import pytest

from and_tf.cli import tensorflow_start
from and_tf.cli.tensorflow_start import check_xla_flags, refused_flag
from and_tf.errors import UserError

GREETING = "E0000 00:00:1795714908.840248 24503 cuda_platform.cc:52] failed call to cuInit: (303)\n"
VALUE = (
    "E0000 00:00:1795.9 24503 command_line_flags.cc:63] Couldn't interpret value abc for flag x.\n"
    "F0000 00:00:1795.9 24503 parse_flags_from_env.cc:220] Check failed: Flag parsing failed.\n"
    "usage: --x=abc\nFlags:\n"
)
FILE = 'F0000 00:00:1795.9 24196 parse_flags_from_env.cc:171] Could not open file "a" to read.\n'


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (GREETING + VALUE, "Couldn't interpret value abc for flag x"),
        (GREETING + FILE, 'Could not open file "a" to read'),
        (GREETING, ""),
        ("", ""),
    ],
)
def test_the_reason_is_found_among_what_tensorflow_prints(messages, reason):
    assert refused_flag(messages) == reason


def test_without_flags_nothing_is_started(monkeypatch):
    for name in tensorflow_start.XLA_FLAGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tensorflow_start.subprocess, "run", lambda *args, **_: pytest.fail("it is"))
    check_xla_flags()


@pytest.mark.system
def test_a_wrong_flag_is_refused_with_its_variable(monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_nonsense=3")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")  # valid
    with pytest.raises(UserError, match=r"--tf_xla_nonsense=3\): correct or unset TF_XLA_FLAGS"):
        check_xla_flags()
