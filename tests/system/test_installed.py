"""The wheel: its programs run in an empty folder, without the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import and_tf

ROOT = Path(__file__).parents[2]
PROGRAMS = ("train", "evaluate", "report", "export", "embed", "search", "pack")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the wheel is installed; the packages that it needs are the tests' own."""
    folder = tmp_path_factory.mktemp("installed")
    tree = folder / "tree"  # a build leaves files behind that the next one would take in
    shutil.copytree(ROOT / "and_tf", tree / "and_tf")
    shutil.copytree(ROOT / "configs", tree / "configs")
    for pattern in ("*.toml", "setup.py", "*.md", "LICENSE", "requirements*.txt"):
        for file in ROOT.glob(pattern):
            shutil.copy(file, tree)
    pip = [sys.executable, "-m", "pip"]
    offline = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    wheel = ["wheel", *offline, "--no-build-isolation", f"--wheel-dir={folder}", str(tree)]
    subprocess.run([*pip, *wheel], check=True, cwd=folder)
    (found,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *offline, f"--target={folder / 'site'}", found], check=True)
    return folder / "site"


@pytest.fixture
def run(installed, tmp_path):
    """Runs an installed program in an empty folder."""

    def run(program, *words):
        script = installed / "bin" / f"and-{program}"
        return subprocess.run(
            [sys.executable, script, *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_version_have_status_0(run, program):
    for word in ("--help", "-h") if program == "train" else ("--help",):
        ended = run(program, word)
        assert ended.returncode == 0 and ended.stdout.startswith(f"usage: and-{program} ")
    ended = run(program, "--version")
    assert (ended.returncode, ended.stdout) == (0, f"and-{program} {and_tf.__version__}\n")


def test_a_help_of_which_only_the_start_is_read_leaves_nothing_on_stderr(installed, tmp_path):
    script = installed / "bin" / "and-train"
    ended = subprocess.run(
        f"{sys.executable} {script} --help | head -1",
        shell=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stdout.startswith("usage: and-train ") and ended.stderr == ""


def test_every_card_is_listed_by_its_first_line(run):
    lines = run("train", "--config=list").stdout.splitlines()
    names = sorted(path.stem for path in (ROOT / "configs").glob("*.cfg"))
    assert [line.split()[0] for line in lines] == names


def test_a_card_trains_by_its_name_and_later_flags_win(run, tmp_path):
    ended = run(
        "train", "--config=smoke", "--train_split=train[:200]", "--eval_split=test[:50]",
        "--rounds=0", "--epochs_per_round=1", "--name=mine",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "runs" / "mine" / "summary.txt").is_file()
    assert "train.py" not in ended.stderr + ended.stdout


def test_errors_begin_with_the_installed_name(run):
    ended = run("train")
    assert ended.returncode == 2 and ended.stderr.startswith("and-train: ")
    assert "and-train --config=folder --data=PHOTOS" in ended.stderr
    assert run("embed").stderr.startswith("and-embed: ")
