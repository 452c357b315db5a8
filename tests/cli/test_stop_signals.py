"""What asks a program to stop, where there is nothing that could be kept."""

import signal
import subprocess
import sys
import time

import pytest

from and_tf.training.stopping import STOP_SIGNALS

PROGRAM = """
import signal, sys, time
from pathlib import Path
from and_tf.cli import runner
from and_tf.cli.flags import Flags
from and_tf.runs.settings import RunChoice

def work():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.3)
        print("cleaned", flush=True)

if sys.argv[1:] == ["nohup"]:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
runner.start_tensorflow = lambda computes: None
flags = Flags("sample.py", "A sample.", (), [RunChoice])
sys.exit(runner.run_program(flags, lambda values: work, []))
"""


def start(*words):
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout.readline() == "ready\n", started.communicate()
    return started


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_program_in_one_line_after_it_has_cleaned_up(number):
    started = start()
    started.send_signal(number)
    if number not in (signal.SIGINT, signal.SIGTERM):  # as of a terminal that is closed
        time.sleep(0.2)
        started.send_signal(number)
    said, errors = started.communicate(timeout=30)
    assert started.returncode == 128 + number and said == "cleaned\n"
    assert errors == f"sample.py: interrupted by {number.name}\n"


def test_nohup_is_kept():
    started = start("nohup")
    started.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(0.5)
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 128 + signal.SIGTERM
