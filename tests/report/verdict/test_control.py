"""Which run is the control of another: the same but for the neighbours, finished, and measured."""

import json
import shlex
from pathlib import Path

import pytest
from helpers.report_runs import settings_of

from and_tf.cli.control import control_command
from and_tf.cli.train import read_settings
from and_tf.report.record import read_record
from and_tf.report.verdict.control import Control, find_control
from and_tf.runs.workdir import Workdir

FLAGS = ["--data=npz:i.npz", "--rounds=1", "--epochs_per_round=2", "--seed=3"]


def write_run(folder, *flags, epochs=4, settings=None):
    """What a run of as many epochs has written, except its arrays; kNN is 60 + epoch."""
    run = Workdir(folder)
    run.path.mkdir(parents=True)
    run.write_flags(settings or settings_of(*FLAGS, *flags))
    standard = {"mean": [0.0], "std": [1.0]}
    run.write_metadata({"images": 20, "fingerprint": "of the images", **standard})
    for epoch in range(1, epochs + 1):
        place = {"step": epoch, "epoch": epoch, "round": int(epoch > 2)}
        run.append_metrics(
            [place | {"loss": 5.0, "images_per_second": 9.0}, place | {"knn_top1": 60.0 + epoch}]
        )
    return run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "runs" / "and", "--neighbourhood_size=2")


def control_of(run):
    return find_control(run, read_record(run))


def other(run, *flags, **made):
    return write_run(run.path.parent / "other", "--method=instance", *flags, **made)


def test_a_run_alone_has_none(run):
    assert control_of(run) is None


@pytest.mark.parametrize(
    "flags", [[], ["--diagnostics"], ["--name=plain"], ["--eval_every=3", "--checkpoint_minutes=2"]]
)
def test_instance_with_the_same_settings_is_the_control(run, flags):
    other(run, *flags)
    assert control_of(run) == Control("other", 64.0)


OF_AND = [
    ["--neighbourhood_size=5"], ["--anchors=random", "--anchor_share=0.5"],
    ["--discovery_features=clean", "--neighbour_search=faiss"], ["--views=2", "--flip"],
]  # fmt: skip


@pytest.mark.parametrize("flags", OF_AND, ids=" ".join)
def test_the_command_that_the_report_advises_trains_the_control(tmp_path, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    run = write_run(Path("my runs/and"), *flags)
    program, script, *words = shlex.split(control_command(run))
    assert (program, script) == ("python", "train.py")
    assert f"--workdir={Path('my runs/and-instance')}" in words
    settings = read_settings(words)
    write_run(Path(settings.run.folder), settings=settings)
    assert control_of(run) == Control("and-instance", 64.0)


def test_the_control_of_a_run_elsewhere_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    run = write_run(tmp_path / "runs" / "and")
    (tmp_path / "link").symlink_to(run.path)
    for folder, path in ((tmp_path / "here", run.path), (run.path, "."), (tmp_path, "link")):
        monkeypatch.chdir(folder)
        settings = read_settings(shlex.split(control_command(Workdir(path)))[2:])
        assert Path(settings.run.folder).resolve() == tmp_path / "runs" / "and-instance"


@pytest.mark.parametrize(
    "flags",
    [
        ["--seed=4"], ["--rounds=2"], ["--batch_size=8"], ["--flip"], ["--views=2"],
        ["--temperature=0.2"], ["--first_round_epochs=4"], ["--eval_images=9"], ["--method=random"],
        ["--method=and"], ["--train_split=train[:10]"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_another_run_is_not(run, flags):
    other(run, *flags)
    assert control_of(run) is None


def test_a_run_on_other_images_is_not(run):
    metadata = other(run).read_metadata() | {"fingerprint": "another"}
    (run.path.parent / "other" / "run.json").write_text(json.dumps(metadata))
    assert control_of(run) is None


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [("content", "a", "b"), ("labels", 1, 2), ("held_out_fingerprint", "a", "b"),
     ("held_out_content", "a", "b"), ("held_out_labels", 1, 2)],
)  # fmt: skip
def test_a_run_that_is_measured_on_other_images_or_labels_is_not(run, name, ours, theirs):
    control = other(run)
    known = run.read_metadata()
    run.write_metadata(known | {name: ours})
    control.write_metadata(known | {name: ours})
    assert control_of(run) is not None
    control.write_metadata(known | {name: theirs})
    assert control_of(run) is None
    control.write_metadata(known)  # of an earlier version, which did not keep it
    assert control_of(run) is not None


@pytest.mark.parametrize("epochs", [0, 3])
def test_an_unfinished_run_is_not(run, epochs):
    other(run, epochs=epochs)
    assert control_of(run) is None


def test_an_unfinished_run_has_none(run):
    other(run)
    unfinished = write_run(run.path.parent / "unfinished", epochs=3)
    assert control_of(unfinished) is None and control_of(run) is not None


def test_a_control_has_none_itself(run):
    assert control_of(other(run)) is None


@pytest.mark.parametrize("name", ["flags.cfg", "metrics.jsonl", "run.json"])
def test_a_broken_run_beside_it_is_passed_over(run, name):
    (other(run).path / name).write_bytes(b"--no such\n{")
    assert control_of(run) is None
    (run.path.parent / "other" / name).unlink()
    assert control_of(run) is None
