"""One process per run folder."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from and_tf.errors import NotFound, UserError
from and_tf.runs.lock import locked

ROOT = pathlib.Path(__file__).parents[2]


def test_a_second_one_is_refused_with_the_holder_named(tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(UserError, match=f"in use by another process .pid {os.getpid()}."),
        locked(tmp_path),
    ):
        pass


def test_a_holder_that_is_not_known_is_not_named(tmp_path):
    with locked(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(UserError, match="in use by another process: wait"), locked(tmp_path):
            pass


def test_the_lock_dies_with_its_owner(tmp_path):
    hold = f"""
import pathlib, time
from and_tf.runs.lock import locked
with locked(pathlib.Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=str(owner.pid)), locked(tmp_path):
        pass
    owner.kill()
    owner.wait()
    with locked(tmp_path):
        pass


def test_a_folder_made_again_under_the_run_is_not_its_own(tmp_path):
    with locked(tmp_path / "run") as check:
        check()
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(NotFound, match="deleted or replaced"):
            check()
        with locked(tmp_path / "run"), pytest.raises(NotFound, match="replaced"):
            check()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_that_is_a_link_is_not_written_through(tmp_path, link):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "run").mkdir()
    link(precious, tmp_path / "run" / "lock")
    with pytest.raises(UserError, match="run/lock is a link"), locked(tmp_path / "run"):
        pass
    assert precious.read_text() == "precious"
    (tmp_path / "run" / "lock").unlink()
    with locked(tmp_path / "run"):
        assert (tmp_path / "run" / "lock").read_text() == str(os.getpid())


def test_a_lock_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(UserError, match="lock is a link to another file, or not a regular one"):
        locked(tmp_path).__enter__()
