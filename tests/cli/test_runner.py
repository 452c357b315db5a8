import errno
import subprocess
import sys

import pytest

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.data.settings import DataSettings
from and_tf.errors import Argument, BrokenImage, UserError
from and_tf.runs.settings import RunChoice


def run(action, argv=()):
    flags = Flags("sample.py", "A sample.", (), [RunChoice])
    return run_program(flags, lambda values: action, list(argv))


def raising(error):
    def action():
        raise error

    return action


def test_a_program_that_ends_has_status_0():
    assert run(lambda: None) == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a\nb ", Argument("workdir", "x"), "."), "sample.py: a b --workdir=x."),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "make room and repeat"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "change its permissions"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), "/x"),
        (MemoryError("8 GB"), "out of memory"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_status_2(error, line, capsys):
    assert run(raising(error)) == 2
    shown = capsys.readouterr().err
    assert line in shown and shown.count("\n") == 1


def test_a_program_that_cannot_skip_images_names_what_is_possible(capsys):
    skip = Argument("skip_broken", True)
    error = BrokenImage("a.png is broken: ", "repair or remove it, or pass ", skip, ".")
    assert run(raising(error)) == 2
    assert capsys.readouterr().err == "sample.py: a.png is broken: repair or remove it.\n"
    flags = Flags("other.py", "Another.", (), [DataSettings])
    assert run_program(flags, lambda values: raising(error), []) == 2
    assert "or pass --skip_broken." in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("broadcast"), KeyError("x"), RuntimeError("y")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run(raising(error))


def test_a_value_error_of_c_code_keeps_its_traceback():
    with pytest.raises(ValueError, match="sequence"):
        run(lambda: __import__("numpy").asarray([[1], [1, 2]], float))


def test_an_interrupted_program_has_status_130(capsys):
    assert run(raising(KeyboardInterrupt())) == 130
    assert "interrupted" in capsys.readouterr().err


def test_lack_of_memory_in_tensorflow_is_told_by_its_type(capsys):
    import tensorflow as tf

    assert run(raising(tf.errors.ResourceExhaustedError(None, None, "OOM"))) == 2
    assert "out of memory" in capsys.readouterr().err


HELD = """
import os, sys
from and_tf.cli.tensorflow_start import native_stderr_held
with native_stderr_held():
    os.write(2, b'native words\\n')
    {}
print('started')
"""


@pytest.mark.system
@pytest.mark.parametrize("end", ["raise RuntimeError('no start')", "os.abort()"])
def test_native_messages_are_shown_if_tensorflow_cannot_start(end):
    script = HELD.format(end)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode != 0 and "native words" in ended.stderr


@pytest.mark.system
def test_native_messages_of_a_good_start_are_not_shown():
    ended = subprocess.run([sys.executable, "-c", HELD.format("pass")], capture_output=True)
    assert ended.returncode == 0 and ended.stdout == b"started\n" and ended.stderr == b""


@pytest.mark.system
def test_a_mistyped_flag_is_answered_without_tensorflow():
    programs = ["train", "evaluate", "report", "export", "embed"]
    script = (
        "import importlib, sys\n"
        f"for program in {programs}:\n"
        "    main = importlib.import_module(f'and_tf.cli.{program}').main\n"
        "    assert main(['--nonsense=1']) == 2\n"
        "    assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules, program\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    assert [line.partition(".py: ")[0] for line in lines] == programs
    assert all("nonsense" in line for line in lines)
