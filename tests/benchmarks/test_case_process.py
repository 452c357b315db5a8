"""Cases in processes of their own, and what others take of the machine meanwhile."""

import functools
import os
import subprocess
import sys
import time

import pytest

from benchmarks import quiet
from benchmarks.case_process import CaseProcess
from benchmarks.quiet import Load


def test_it_is_made_once_with_its_environment_and_called_so_many_times(tmp_path):
    log = tmp_path / "log"
    case = CaseProcess(functools.partial(_appending, log), {"OF_THE_CASE": "7"})
    assert 0 <= case.first_call() < 60
    case(3)
    case.end()
    made, *calls = log.read_text().splitlines()
    assert made.startswith("made 7 ") and calls == ["call"] * 4
    assert int(made.split()[2]) != os.getpid() and "OF_THE_CASE" not in os.environ


def _appending(log):
    def write(line):
        with log.open("a") as file:
            file.write(f"{line}\n")

    write(f"made {os.environ['OF_THE_CASE']} {os.getpid()}")
    return functools.partial(write, "call")


def test_what_goes_wrong_there_is_raised_here():
    case = CaseProcess(_broken, {})
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        case(1)
    case.end()


def _broken():
    return lambda: 1 / 0


SPIN = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"


def test_processes_of_the_benchmark_are_its_own():
    before = quiet._own()
    subprocess.run([sys.executable, "-c", SPIN], check=True)
    assert quiet._own() - before >= 0.5


def test_a_busy_machine_is_said_to_be_busy(monkeypatch):
    load = Load()
    monkeypatch.setattr("benchmarks.quiet._busy", lambda: load._busy + 1e6)
    time.sleep(0.01)
    assert load.others() == 1 and "took 100 % of its cores" in load.line()
    monkeypatch.setattr("benchmarks.quiet._busy", lambda: load._busy)
    assert load.line() == ""
