"""What a user has set for other programs neither ends a program nor reaches a result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from and_tf.cli.surroundings import PATTERNS, check_surroundings
from and_tf.errors import UserError

ROOT = Path(__file__).parents[2]
LATIN_1 = "# Größe\nfont.size: 3\n".encode("latin-1")
NUMBERS = ("TQDM_NCOLS", "TQDM_MININTERVAL", "SKLEARN_WORKING_MEMORY", "JOBLIB_MULTIPROCESSING")
RUBBISH = dict.fromkeys(NUMBERS, "abc")
PROGRAM = """
import sys
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
import and_tf.cli.runner as runner
runner.start_tensorflow = lambda computes: None
def start():
    import matplotlib, sklearn
    from and_tf.data.progress import progress_bar
    progress_bar(3, "work").close()
    print(matplotlib.rcParams["font.size"], matplotlib.get_backend())
sys.exit(run_program(Flags("sample.py", "A sample.", (), []), lambda values: start, []))
"""


def ran(script, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["of the user", "current folder"])
def test_settings_that_other_programs_would_not_take_are_left_out(tmp_path, place):
    (tmp_path / "matplotlibrc").write_bytes(LATIN_1)
    at_work = tmp_path / "work"
    at_work.mkdir()
    folder = tmp_path if place == "current folder" else at_work
    variables = dict.fromkeys(("MATPLOTLIBRC", "MPLCONFIGDIR"), str(tmp_path))
    ended = ran(PROGRAM, folder, MPLBACKEND="nonsense", **RUBBISH, **variables)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("10.0 agg\n", "", 0)


def test_cards_are_listed_whatever_is_set(tmp_path):
    script = "from and_tf.cli.train import main; main(['--config=list'])"
    ended = ran(script, tmp_path, **RUBBISH)
    assert ended.returncode == 0 and ended.stderr == "" and "digits" in ended.stdout


@pytest.mark.parametrize("name", PATTERNS)
def test_a_variable_that_is_needed_is_refused_in_one_line(monkeypatch, name):
    for value in ("", "1"):
        monkeypatch.setenv(name, value)
        check_surroundings()
    for value in ("abc", "-1", "1" * 5000):
        monkeypatch.setenv(name, value)
        with pytest.raises(
            UserError, match=f"^{name} is .{value[:60]}.*correct or unset it"
        ) as told:
            check_surroundings()
        assert len(str(told.value)) < 200
