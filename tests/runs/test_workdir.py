"""The folder of a run: what is written comes back, and what others put there is ignored."""

import os
import re

import numpy as np
import pytest

from and_tf.errors import BrokenFile, NotFound, UserError
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir, newest_run
from and_tf.training.settings import ExperimentSettings, experiment_settings, read_settings


@pytest.fixture
def run(tmp_path):
    run = Workdir(tmp_path / "run")
    run.path.mkdir()
    return run


def save_rounds(run, *numbers):
    for number in numbers:
        run.save_round({"a": np.full(2, number)}, {"step": number, "round": number})


def test_stray_files_among_rounds_and_checkpoints_are_ignored(run):
    save_rounds(run, 0, 2, 10)
    for name in ("notes.txt", "round_x.npz", "round_1.npz.partial", "round_01.npz", "round_.npz"):
        (run.rounds / name).write_text("stray")
    (run.rounds / "round_3.npz").mkdir()
    assert run.ended_rounds() == [0, 2, 10]
    arrays, _, path = run.load_checkpoint("round_10")
    assert arrays["a"][0] == 10 and path == run.round_file(10)


@pytest.mark.parametrize("which", ["best", "round_1", "round_x", "../run/rounds/round_0", ""])
def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(run, which):
    save_rounds(run, 0, 2)
    with pytest.raises(NotFound, match=r"It holds round_0, round_2\."):
        run.load_checkpoint(which)


def test_a_corrupt_last_checkpoint_gives_way_to_the_one_before(run, caplog):
    for step in (1, 2):
        run.save_checkpoint({"a": np.arange(100) + step}, {"step": step})
    content = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(content[:-100])
    arrays, metadata, path = run.load_checkpoint()
    assert metadata == {"step": 1} and arrays["a"][0] == 1 and path == run.previous_checkpoint


def test_a_process_that_is_not_the_chief_writes_nothing(tmp_path):
    run = Workdir(tmp_path / "run", is_writable=False)
    with run.locked():
        run.write_flags(ExperimentSettings())
        run.write_metadata({"mean": [0.0]})
        run.append_metrics([{"step": 1}])
        run.forget_after(0)
        run.save_checkpoint({}, {"step": 1})
        run.save_best({}, {"step": 1})
        run.save_round({}, {"round": 0})
        run.write_summary("done")
    assert list(tmp_path.iterdir()) == []


def test_settings_come_back(run):
    run.write_flags(ExperimentSettings())
    assert read_settings(run) == ExperimentSettings()


def test_metrics_after_a_step_are_forgotten_and_half_a_line_is_left_out(run):
    run.append_metrics([{"step": 1}, {"step": 2}])
    run.append_metrics([{"step": 3}])
    with open(run.metrics, "a") as file:
        file.write('{"step": 4, "lo')
    assert [record["step"] for record in run.read_metrics()] == [1, 2, 3]
    run.forget_after(2)
    assert run.metrics.read_text() == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize(
    ("name", "size", "read"),
    [
        ("flags.cfg", 2 << 20, Workdir.read_flags),
        ("metrics.jsonl", 2 << 30, Workdir.read_metrics),
        ("images.npz", 5 << 30, Workdir.read_images),
    ],
)
def test_a_file_larger_than_any_that_is_written_is_not_read(run, name, size, read):
    (run.path / name).touch()
    os.truncate(run.path / name, size)  # of zeros that take no room on the disk
    with pytest.raises(BrokenFile, match=rf"{name} .*it has more than [\d,]+ MB\): restore it"):
        read(run)


def test_a_corrupt_line_of_metrics_is_named(run):
    run.metrics.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(BrokenFile, match="corrupt in line 2"):
        run.read_metrics()


@pytest.mark.parametrize(
    ("line", "fault"),
    [('{"step": 1, "loss": "low"}', 'loss is "low", not a number'), ('{"step": -1}', "step is -1"),
     ("[]", "it holds"), ('{"loss": 1}', "there is no 'step'"), ("1" * 5000, "corrupt in line 1")],
)  # fmt: skip
def test_a_line_that_nobody_wrote_is_refused_with_field_and_value(run, line, fault):
    run.metrics.write_text(line + "\n")
    with pytest.raises(BrokenFile, match=f"line 1.*{re.escape(fault)}|{fault}"):
        run.read_metrics()


SETTINGS = {"seed": "0", "temperature": "0.1"}


def begun(run, content="of the images"):
    run.write_flags(ExperimentSettings())
    run.write_metadata({"mean": [1.0], "std": [1.0], "content": content})


def test_a_checkpoint_knows_the_run_that_it_is_of(run):
    begun(run)
    origin = run.origin(["seed", "temperature"], "of the images")
    assert origin == {"images": "of the images", "settings": SETTINGS}
    run.save_checkpoint({}, {"step": 1, "origin": origin})
    run.save_round({}, {"step": 1, "round": 0, "origin": origin | {"settings": {"gone": "3"}}})
    run.save_best({}, {"step": 1})  # of an earlier version
    for which in ("last", "round_0", "best"):
        assert run.load_checkpoint(which)[1]["step"] == 1


@pytest.mark.parametrize(
    ("origin", "words"),
    [({"settings": SETTINGS | {"seed": "1"}}, r"seed='1', here 0\)"),
     ({"settings": {"seed": "1", "temperature": "0.2"}}, "seed='1', here 0, temperature='0.2'"),
     ({"images": "others", "settings": SETTINGS}, r"\(other images\)")],
)  # fmt: skip
@pytest.mark.parametrize("which", ["last", "best", "round_0"])
def test_a_checkpoint_of_another_run_is_refused_and_its_remedy_works(run, origin, words, which):
    begun(run)
    run.save_checkpoint({}, {"step": 1})
    own = {"step": 2, "round": 0, "origin": origin}
    {"last": run.save_checkpoint, "best": run.save_best, "round_0": run.save_round}[which]({}, own)
    with pytest.raises(BrokenFile, match=f"of another run {words}|{words}.*put the run's own"):
        run.load_checkpoint(which)
    path = {"last": run.checkpoint, "best": run.best_checkpoint, "round_0": run.round_file(0)}
    path[which].unlink()
    assert run.load_checkpoint()[1]["step"] == 1


LAST = {"step": 10 * 3, "epoch": 10, "round": 1}  # of 2 rounds of 5 epochs of 3 steps


@pytest.mark.parametrize(
    ("name", "value"), [("step", 31), ("step", 10**9), ("epoch", 11), ("round", 99)]
)
@pytest.mark.parametrize("which", ["last", "best", "round_1"])
def test_a_checkpoint_beyond_the_end_of_the_run_is_refused(run, which, name, value):
    plan = {"rounds": 1, "epochs_per_round": 5, "batch_size": 4}
    run.write_flags(experiment_settings(plan))
    run.write_metadata({"mean": [1.0], "std": [1.0], "images": 12})
    path = {"last": run.checkpoint, "best": run.best_checkpoint, "round_1": run.round_file(1)}
    checkpoint.save(path[which], {}, LAST)
    assert run.load_checkpoint(which)[1] == LAST
    checkpoint.save(path[which], {}, LAST | {name: value})
    with pytest.raises(BrokenFile, match=rf"is corrupt \(it is of {name} {value}"):
        run.load_checkpoint(which)


@pytest.mark.parametrize("further", [{"step": 16}, {"epoch": 6}, {"round": 1}])
def test_the_end_of_a_round_lies_within_the_round(run, further):
    run.write_flags(experiment_settings({"rounds": 1, "epochs_per_round": 5, "batch_size": 4}))
    run.write_metadata({"mean": [1.0], "std": [1.0], "images": 12})
    end = {"step": 15, "epoch": 5, "round": 0}
    checkpoint.save(run.round_file(0), {}, end)
    assert run.load_checkpoint("round_0")[1] == end
    checkpoint.save(run.round_file(0), {}, end | further)
    with pytest.raises(BrokenFile, match=r"round_0\.npz is corrupt"):
        run.load_checkpoint("round_0")


@pytest.mark.parametrize(("step", "is_taken"), [(15, True), (0, True), (14, False), (9, False)])
def test_an_epoch_of_a_round_or_best_encoder_ends_with_its_step(run, step, is_taken):
    run.write_flags(experiment_settings({"rounds": 1, "epochs_per_round": 5, "batch_size": 4}))
    run.write_metadata({"mean": [1.0], "std": [1.0], "images": 12})
    run.save_best({}, {"step": step, "epoch": 5})
    if is_taken:  # step 0 where a method takes none
        assert run.load_checkpoint("best")[1]["step"] == step
    else:
        with pytest.raises(BrokenFile, match=f"epoch 5 does not end with its step, {step}"):
            run.load_checkpoint("best")


def test_a_setting_that_is_written_otherwise_is_no_other_one(run):
    begun(run)
    run.flags.write_text(run.flags.read_text().replace("temperature=0.1", "temperature=0.10"))
    run.save_checkpoint({}, {"step": 1, "origin": {"settings": SETTINGS}})
    assert run.load_checkpoint()[1]["step"] == 1


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(run, monkeypatch):
    monkeypatch.setattr(checkpoint.check_unpacked_size, "__defaults__", (1000,))
    np.savez(run.images, sizes=np.zeros(10_000, np.int64))
    with pytest.raises(BrokenFile, match=r"images.npz.*there is no|'names'"):
        run.read_images()
    np.savez_compressed(run.images, sizes=np.zeros(10_000, np.int64))
    with pytest.raises(BrokenFile, match=r"images.npz cannot be read \(it unpacks to 0.0 GB\)"):
        run.read_images()
    run.checkpoint.parent.mkdir()
    os.replace(run.images, run.checkpoint)
    with pytest.raises(BrokenFile, match=r"last.npz is corrupt \(it unpacks to 0.0 GB\)"):
        run.load_checkpoint()


def test_the_newest_run_is_the_one_whose_checkpoint_is(tmp_path):
    for seconds, name in ((100, "new"), (50, "old")):
        run = Workdir(tmp_path / name)
        run.path.mkdir()
        run.save_checkpoint({}, {"step": 1})
        os.utime(run.checkpoint, (seconds, seconds))
    (tmp_path / "stray" / "checkpoints" / "last.npz").mkdir(parents=True)
    assert newest_run(tmp_path).path.name == "new"


def test_what_a_checkpoint_is_may_be_read_without_the_rest(run):
    run.save_checkpoint({"encoder/a": np.ones(2), "bank": np.ones(2)}, {"step": 1})
    assert run.load_checkpoint("last", checkpoint.ENCODER)[0].keys() == {"encoder/a"}


@pytest.mark.parametrize(
    ("name", "is_state"),
    [("flags.cfg", False), ("run.json", False), ("checkpoints/last.npz.partial", False),
     ("checkpoints/last.npz", True), ("checkpoints/last.corrupt", True),
     ("rounds/round_0.npz", True), ("summary.txt", True), ("metrics.jsonl", True)],
)  # fmt: skip
def test_a_run_holds_state_once_something_that_was_trained_is_kept(tmp_path, name, is_state):
    run = Workdir(tmp_path / "run")
    assert not run.holds_state()
    (run.path / name).parent.mkdir(parents=True)
    (run.path / name).write_text("content")
    assert run.holds_state() is is_state


def test_metrics_without_a_line_are_no_state(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    assert not Workdir(tmp_path).holds_state()


@pytest.mark.parametrize("name", ["checkpoints", "rounds", "tensorboard", "export", "evaluations"])
def test_nothing_is_written_through_a_link_in_place_of_a_folder(run, name, tmp_path):
    (tmp_path / "outside").mkdir()
    (run.path / name).symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=f"run/{name} is a link to .*outside"), run.locked():
        pass
    assert not (run.path / "lock").exists()


def test_a_run_may_be_named_by_a_link(run, tmp_path):
    (tmp_path / "link").symlink_to(run.path)
    with Workdir(tmp_path / "link").locked():
        assert (run.path / "lock").is_file()


def test_metrics_are_not_written_through_a_link(run, tmp_path):
    (tmp_path / "precious").write_text("")
    run.metrics.symlink_to(tmp_path / "precious")
    run.forget_after(-1)  # as each start does
    run.append_metrics([{"step": 1}])
    assert (tmp_path / "precious").read_text() == ""
    assert [record["step"] for record in run.read_metrics()] == [1]
