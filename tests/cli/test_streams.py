"""Streams that cannot be written are dropped: closed, without a reader, on a full disk."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")

PROGRAM = """
import logging, sys
from tqdm import tqdm
from and_tf.cli.messages import set_up_logging
from and_tf.cli.streams import drop_what_cannot_be_written
drop_what_cannot_be_written()
drop_what_cannot_be_written()
set_up_logging()
with open(sys.argv[1], "w") as file:
    for number in range(2000):
        print("result", number)
        logging.getLogger("and_tf").info("message %d", number)
    tqdm.write("more", file=sys.stderr)
    print("flushed", flush=True)
    file.write("the work")
sys.exit(0)
"""


def run(tmp_path, redirections="", options="", **streams):
    path = tmp_path / "work"
    command = f'exec "$0" {options} -c "$1" "$2" {redirections}'
    words = ["sh", "-c", command, sys.executable, PROGRAM, str(path)]
    ended = subprocess.run(words, text=True, **streams)
    assert ended.returncode == 0 and path.read_text() == "the work", ended
    return ended


@pytest.mark.parametrize("options", ["", "-u"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_no_work_and_its_number_goes_to_no_file(tmp_path, closed, options):
    ended = run(tmp_path, closed, options, capture_output=True)
    assert (">&-" in f" {closed}".replace("2>&-", "")) or "result 1999" in ended.stdout
    assert "2>&-" in closed or "message 1999" in ended.stderr


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_reader_that_has_read_enough_ends_no_work(tmp_path, name):
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if name == "stdout" else "stdout"
    ended = run(tmp_path, **{name: writing, other: subprocess.PIPE})
    os.close(writing)
    said = getattr(ended, other)
    assert "1999" in said and "Warning" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_full_disk_ends_no_work_and_is_named_once_on_the_other_stream(tmp_path, name):
    other = "stderr" if name == "stdout" else "stdout"
    with open("/dev/full", "w") as full:
        ended = run(tmp_path, **{name: full, other: subprocess.PIPE})
    said = getattr(ended, other)
    assert said.count("cannot be written (No space left on device)") == 1 and "1999" in said


def test_a_terminal_that_somebody_made_non_blocking_gets_all(tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen(["cat"], stdin=reading, stdout=subprocess.PIPE, text=True) as reader:
        os.close(reading)
        run(tmp_path, stdout=writing, stderr=subprocess.DEVNULL)
        os.close(writing)
        lines = reader.stdout.read().splitlines()
    assert len(lines) == 2001 and lines[-1] == "flushed"


def test_both_streams_to_one_file_stay_in_order(tmp_path):
    ended = run(tmp_path, "2>&1", "-u", stdout=subprocess.PIPE)
    assert ended.stdout.splitlines()[:4] == ["result 0", "message 0", "result 1", "message 1"]
