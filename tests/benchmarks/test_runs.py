"""The runs of a table: what is kept, what goes on, what is refused, and on which device."""

import json
import logging
import sys

import pytest
from helpers.fake_programs import FakePrograms, start_by

from benchmarks import runs as module
from benchmarks.runs import Run, Runs
from benchmarks.time_left import Work

QUESTIONS = (("--classifier=knn",), ("--classifier=linear", "--layer=conv5"))


@pytest.fixture
def programs(monkeypatch):
    fake = FakePrograms(lambda settings, kind, split: 50.0 + settings.run.seed)
    start_by(monkeypatch, fake)
    return fake


def run_of(seed: int, *flags: str, name: str = "", questions=QUESTIONS) -> Run:
    of_all = ("--data=digits", "--rounds=0", "--epochs_per_round=3", f"--seed={seed}")
    return Run(name or f"run_{seed}", "and", (*of_all, *flags), questions)


def open_runs(tmp_path, *on: str) -> Runs:
    return Runs(tmp_path, tmp_path / "runs.json", on or ("",))


def test_each_run_is_trained_and_then_evaluated(programs, tmp_path):
    runs, one = open_runs(tmp_path), run_of(4)
    runs.carry_out([one])
    assert [words[0] for words in programs.commands] == ["train.py", "evaluate.py", "evaluate.py"]
    assert [runs.answer(one, question)["top1"] for question in QUESTIONS] == [54.0, 54.0]
    assert json.loads((tmp_path / "runs.json").read_text())["run_4"]["seconds"] >= 0


def test_what_is_finished_is_kept(programs, tmp_path):
    both, done = [run_of(0), run_of(1)], []
    open_runs(tmp_path).carry_out(both[:1])
    open_runs(tmp_path).carry_out(both, after=done.append)
    assert programs.trained() == ["run_0", "run_1"] and done == both


def test_what_broke_off_goes_on_by_the_same_command(programs, tmp_path):
    programs.broken = "run_1"
    three = [run_of(0), run_of(1), run_of(2)]
    with pytest.raises(SystemExit, match=r"train\.py .* ended with status 1: see .*run_1\.log"):
        open_runs(tmp_path).carry_out(three)
    programs.broken = ""
    open_runs(tmp_path).carry_out(three)
    assert programs.trained() == ["run_0", "run_1", "run_1", "run_2"]
    first, second = (words for words in programs.commands if "--seed=1" in words)
    assert first == second


def test_a_run_of_other_settings_is_refused_before_anything_starts(programs, tmp_path):
    open_runs(tmp_path).carry_out([run_of(0)])
    for flags in (["--epochs_per_round=4"], ["--data=tfds:cifar10"], ["--learning_rate=0.5"]):
        name = flags[0].partition("=")[0]
        with pytest.raises(SystemExit, match=f"other settings \\({name}.*another --folder"):
            open_runs(tmp_path).carry_out([run_of(1), run_of(0, *flags)])
    assert programs.trained() == ["run_0"]


def test_a_run_that_a_table_does_not_mean_is_refused_before_anything_starts(programs, tmp_path):
    def check(run, settings):
        if settings.run.seed == 1:
            raise SystemExit(f"{run.name} is not meant")

    runs = Runs(tmp_path, tmp_path / "runs.json", check=check)
    with pytest.raises(SystemExit, match="run_1 is not meant"):
        runs.carry_out([run_of(0)], later=[run_of(1)])
    assert not programs.commands


def test_a_setting_that_changes_no_result_may_change(programs, tmp_path):
    open_runs(tmp_path).carry_out([run_of(0)])
    open_runs(tmp_path).carry_out([run_of(0, "--cache_mb=7", "--eval_every=2")])
    assert programs.trained() == ["run_0"]


def test_an_evaluation_on_other_images_or_of_an_earlier_epoch_is_no_answer(programs, tmp_path):
    runs, one = open_runs(tmp_path), run_of(0)
    runs.carry_out([one])
    other = ("--classifier=knn", "--eval_split=test[:9]")
    assert runs.answer(one, other) is None
    with runs.workdir(one).metrics.open("a") as file:
        file.write('{"step": 99, "epoch": 4}\n')
    assert runs.answer(one, QUESTIONS[0]) is None
    runs.carry_out([one])
    assert programs.evaluated() == ["run_0"] * 4
    assert runs.answer(one, QUESTIONS[0])["step"] == 99


def test_each_device_has_one_run_at_a_time(programs, tmp_path):
    open_runs(tmp_path, "0", "3").carry_out([run_of(seed) for seed in range(4)])
    assert programs.devices[:2] == ["0", "3"]  # side by side
    on: dict[str, str] = {}
    for words, device in zip(programs.commands, programs.devices, strict=True):
        folder = next(word for word in words if word.startswith("--workdir="))
        assert on.setdefault(folder, device) == device
    assert sorted(on.values()) == ["0", "0", "3", "3"]


def test_the_others_are_stopped_where_one_fails(programs, tmp_path):
    programs.broken = "run_0"
    with pytest.raises(SystemExit, match="run_0"):
        open_runs(tmp_path, "0", "1").carry_out([run_of(0), run_of(1)])
    assert [process.is_terminated for process in programs.processes] == [False, True]


def test_a_table_that_is_stopped_stops_its_runs_and_goes_on(programs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module.time, "sleep", lambda seconds: sys.exit(143))  # as by SIGTERM
        with pytest.raises(SystemExit, match="143"):
            open_runs(tmp_path).carry_out([run_of(0), run_of(1)])
    assert [process.is_terminated for process in programs.processes] == [True]
    assert "seconds" in json.loads((tmp_path / "runs.json").read_text())["run_0"]
    open_runs(tmp_path).carry_out([run_of(0), run_of(1)])
    assert programs.evaluated() == ["run_0", "run_0", "run_1", "run_1"]


def test_a_training_that_was_asked_to_stop_is_not_taken_for_finished(programs, tmp_path):
    programs.stopped = "run_0"
    with pytest.raises(SystemExit, match="run_0 was stopped: the same command continues"):
        open_runs(tmp_path).carry_out([run_of(0)])
    assert not programs.evaluated()


def test_the_time_left_follows_from_the_epochs_that_are_done(programs, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="benchmarks")
    programs.broken, two = "run_1", [run_of(0), run_of(1)]
    with pytest.raises(SystemExit, match="run_1"):
        open_runs(tmp_path).carry_out(two)  # 3 epochs of run_0 and 1 of run_1
    runs = open_runs(tmp_path)
    runs.record.keep("run_0", seconds=60.0)
    runs.record.keep("run_1", seconds=40.0)
    runs.work = {"run_0": Work(3), "run_1": Work(3), "run_2": Work(30), "random": Work(0)}
    runs.waiting.extend(two)
    assert runs.seconds_left() == pytest.approx(2 * 30)  # 20 and 40 s an epoch, 2 epochs left
    runs.later = [run_of(2), run_of(0, name="random")]
    assert runs.seconds_left() == pytest.approx(32 * 30)
    runs.devices = ("0", "1")
    assert runs.seconds_left() == pytest.approx(16 * 30)
    runs.work["run_2"] = Work(30, views=2)
    assert runs.seconds_left() == pytest.approx(31 * 30)
    first, second, *_ = caplog.messages
    assert first == "run 1 of 2: run_0" and "run 2 of 2, about" in second


def test_of_a_running_training_counts_what_it_did_since_it_was_started(programs, tmp_path):
    programs.broken = "run_0"
    with pytest.raises(SystemExit, match="run_0"):
        open_runs(tmp_path).carry_out([run_of(0)])
    runs = open_runs(tmp_path)
    runs.record.known, runs.work = {}, {"run_0": Work(3)}  # nothing is known of the time until then
    job = module.Job(run_of(0), "", iter(()), first_epoch=1)
    runs.jobs, runs.begun = [job], {"run_0": job.run}
    assert runs.seconds_left() is None
    job.first_epoch, job.began = 0, job.began - 50
    assert runs.seconds_left() == pytest.approx(2 * 50, abs=5)
