"""What messages about files tell to do is done here, and then it works."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.encoded import encoded, gradient
from helpers.pictures import error_of, write_images
from helpers.replicas_in_threads import on_each
from helpers.report_runs import make_run, save_images, settings_of

from and_tf.data.manifest import manifest
from and_tf.data.pack import pack
from and_tf.data.pack_settings import PackSettings
from and_tf.data.same_files import check_same_files
from and_tf.data.settings import DataSettings
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.opening import open_source, open_train_and_held_out
from and_tf.errors import Argument, BrokenFile, ImageChanged, NotFound, UserError
from and_tf.export.writing import _checked_target
from and_tf.report.record import read_record
from and_tf.report.tensorboard.writer import check_folder
from and_tf.runs.flag_file import flag_file_text
from and_tf.runs.places import check_local, check_place
from and_tf.runs.workdir import Workdir
from and_tf.training.start import check_run_folder
from and_tf.training.strategy import check_last_batch
from and_tf.training.unchanged import check_unchanged


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Workdir(tmp_path / "run")


def test_a_corrupt_line_of_metrics_is_removed(run):
    run.metrics.write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(BrokenFile, match=r"line 2 .*remove that line") as caught:
        run.read_metrics()
    number = int(re.search(r"line (\d+)", str(caught.value))[1])
    lines = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.write_text("".join(lines[: number - 1] + lines[number:]))
    assert [record["step"] for record in run.read_metrics()] == [1, 3]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_that_is_a_link_is_removed(run, tmp_path, link):
    (tmp_path / "other").write_text("of somebody else")
    link(tmp_path / "other", run.path / "lock")
    with (
        pytest.raises(UserError, match="remove it, and repeat the command") as caught,
        run.locked(),
    ):
        pytest.fail("it is held")
    os.remove(str(caught.value).partition(" is a link")[0])
    with run.locked():
        assert (tmp_path / "other").read_text() == "of somebody else"


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints",
        "rounds",
        "export",
        "evaluations",
        "discovery",
        "tensorboard",
        "tensorboard/report",
    ],
)
def test_a_folder_that_is_a_link_is_removed(run, tmp_path, name):
    (tmp_path / "other").mkdir()
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="remove the link") as caught:
        run.check_folders()
    os.remove(str(caught.value).partition(" is a link")[0])
    run.check_folders()


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run under runs/, with a step, and the settings that it was begun with."""
    monkeypatch.chdir(tmp_path)
    settings = settings_of("--name=first", "--data=digits", "--temperature=0.2")
    run = Workdir(settings.run.folder)
    run.path.mkdir(parents=True)
    run.write_flags(settings)
    run.metrics.write_text('{"step": 1}\n')
    return run, settings


def with_run(settings, **changes):
    return replace(settings, run=replace(settings.run, **changes))


def test_a_run_of_other_settings_is_left_for_another_name_or_folder_or_by_its_own(begun):
    run, settings = begun
    other = settings_of("--name=first", "--data=digits", "--temperature=0.3")
    with pytest.raises(UserError, match="another name, or repeat its settings"):
        check_run_folder(run, other)
    second = with_run(other, name="second")
    check_run_folder(Workdir(second.run.folder), second)
    check_run_folder(run, settings)
    named = with_run(other, workdir=str(run.path), name="second")  # where a name changes nothing
    with pytest.raises(UserError, match=r"choose another, or repeat its settings") as caught:
        check_run_folder(run, named)
    assert "name" not in {part.name for part in caught.value.parts if isinstance(part, Argument)}
    check_run_folder(Workdir("elsewhere"), with_run(named, workdir="elsewhere"))


@pytest.mark.parametrize(("place", "words"), [("notes", "holds no run"), ("a.txt/b", "below a")])
def test_a_folder_of_other_things_is_left_for_another(begun, place, words):
    settings = begun[1]
    Path("notes").mkdir()
    Path("notes", "letter.txt").touch()
    Path("a.txt").touch()
    with pytest.raises(UserError, match=rf"{words}.*choose another"):
        check_run_folder(Workdir(place), with_run(settings, workdir=place))
    check_run_folder(Workdir("free"), with_run(settings, workdir="free"))


def test_each_checkpoint_that_a_message_lists_can_be_named(run):
    for number in (0, 2):
        run.save_round({"a": np.ones(2)}, {"step": number, "round": number})
    for is_last_there in (False, True):
        with pytest.raises(NotFound, match="It holds ") as caught:
            run.load_checkpoint("best")
        held = str(caught.value).partition("It holds ")[2].strip(".").split(", ")
        assert [run.load_checkpoint(name)[1]["step"] for name in held]
        assert ("last" in held) is is_last_there
        run.save_checkpoint({"a": np.ones(2)}, {"step": 3})


@pytest.mark.parametrize("remedy", ["put back", "remove", "flags"])
def test_a_checkpoint_of_another_run_is_put_back_or_removed(begun, remedy):
    run, settings = begun
    flags = run.flags.read_text()
    for step, temperature in ((1, "0.2"), (2, "0.2" if remedy == "flags" else "0.7")):
        origin = {"settings": {"temperature": temperature}}
        run.save_checkpoint({"a": np.ones(2)}, {"step": step, "origin": origin})
    if remedy == "flags":
        run.flags.write_text(flags.replace("--temperature=0.2", "--temperature=0.7"))
    with pytest.raises(BrokenFile, match=r"put the run's own back .*or remove it") as caught:
        run.load_checkpoint()
    path = Path(re.search(r"checkpoint (\S+) is of another", str(caught.value))[1])
    if remedy == "flags":
        run.flags.write_text(flags)
    elif remedy == "put back":
        shutil.copy(run.previous_checkpoint, path)
    else:
        path.unlink()
    assert run.load_checkpoint()[1]["step"] == (2 if remedy == "flags" else 1)
    assert check_run_folder(run, settings)  # it goes on


@pytest.mark.parametrize("remedy", ["restore", "choose another workdir"])
def test_changed_images_of_a_run_are_restored_or_left_for_another_run(run, tmp_path, remedy):
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    content = (tmp_path / "photos" / "b.png").read_bytes()
    run.write_images(manifest(open_folder(tmp_path / "photos")))
    write_images(tmp_path / "photos", ["b.png"], seed=1)

    def check(run):
        source = open_folder(tmp_path / "photos")
        check_unchanged(run, source, manifest(source), {})

    with pytest.raises(UserError, match=r"1 edited \(b.png\)\. Restore the images or choose ano"):
        check(run)
    if remedy == "restore":
        (tmp_path / "photos" / "b.png").write_bytes(content)
        check(run)
    else:
        check(Workdir(tmp_path / "another"))


def test_files_that_a_report_cannot_read_are_removed(tmp_path):
    run = make_run(tmp_path / "run", save_images(tmp_path / "a.npz", 8, 2), "--rounds=1")
    run.evaluations.mkdir()
    run.save_round({"entropy": np.ones(3, np.float32)}, {"step": 4, "round": 1})
    results = run.evaluations / "knn_fc.json"
    results.write_text("[]")
    for path in (run.round_file(1), results):
        with pytest.raises(BrokenFile, match="remove it") as caught:
            read_record(run)
        os.remove(re.match(r"\S+", str(caught.value))[0])
        assert not path.exists()
    assert read_record(run).epochs


def test_other_files_in_the_place_of_the_data_for_tensorboard_are_moved_away(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "letter.txt").touch()
    with pytest.raises(UserError, match="move them away") as caught:
        check_folder(tmp_path / "report")
    shutil.move(str(caught.value).partition(" holds ")[0], tmp_path / "away")
    check_folder(tmp_path / "report")


@pytest.mark.parametrize("form", ["keras", "savedmodel"])
def test_what_is_no_export_is_removed_or_left_for_another_path(tmp_path, form):
    path = tmp_path / ("a.keras" if form == "keras" else "a")
    path.mkdir()
    (path / "letter.txt").touch()
    with pytest.raises(UserError, match=r"Give another path or remove it\.") as caught:
        _checked_target(path, form)
    assert _checked_target(path.with_stem("b"), form) == path.with_stem("b")
    shutil.rmtree(str(caught.value).partition(" exists and ")[0])
    assert _checked_target(path, form) == path


def test_the_lock_of_another_process_is_waited_for_or_another_folder_chosen(run, tmp_path):
    holder = Workdir(run.path)
    with holder.locked():
        refused = pytest.raises(UserError, match=r"wait for it to end.* or choose another")
        with refused, run.locked():
            pytest.fail("it is held")
        other = Workdir(tmp_path / "other")
        other.path.mkdir()
        with other.locked():
            pass
    with run.locked():
        pass


def test_a_last_batch_too_small_for_the_devices_is_mended_by_another_size():
    with pytest.raises(UserError, match=r"batch_size=8 leaves 1 image\(s\).* choose another"):
        check_last_batch(17, 8, replicas=2)
    for size in (5, 6, 15):
        check_last_batch(17, size, replicas=2)


@pytest.mark.parametrize("size", [2, 3])
def test_processes_that_see_different_images_get_all_the_same(tmp_path, size):
    def check(names):
        return on_each(
            size,
            lambda sharing: check_same_files(
                tmp_path, names[min(sharing.number, 1)], np.full(2, 9), sharing
            ),
        )

    with pytest.raises(UserError, match="Give all processes the same images"):
        check((["a.png", "b.png"], ["a.png", "c.png"]))
    check((["a.png", "b.png"], ["a.png", "b.png"]))


def test_an_address_is_mounted_and_named_by_its_path(tmp_path):
    message = error_of(check_local, "workdir", "gs://bucket/run")
    assert "mount the address and name it by its path" in message
    check_local("workdir", str(tmp_path / "bucket" / "run"))


def test_a_name_that_no_flagfile_holds_is_replaced_by_a_link(tmp_path):
    write_images(tmp_path / "two\nlines", ["a.png"])
    message = error_of(flag_file_text, DataSettings(data=f"folder:{tmp_path}/two\nlines"))
    assert "name a link to it" in message
    (tmp_path / "link").symlink_to(tmp_path / "two\nlines")
    data = DataSettings(data=f"folder:{tmp_path}/link")
    assert f"--data=folder:{tmp_path}/link\n" in flag_file_text(data)
    assert open_train_and_held_out(data)[0].names == ["a.png"]


def test_a_directory_at_a_place_to_write_is_removed_or_another_name_given(tmp_path):
    (tmp_path / "table.npz").mkdir()
    assert "give another name or remove it" in error_of(
        check_place, "output", tmp_path / "table.npz"
    )
    check_place("output", tmp_path / "other.npz")
    (tmp_path / "table.npz").rmdir()
    check_place("output", tmp_path / "table.npz")


def test_images_are_packed_into_another_folder(tmp_path):
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").touch()
    settings = {"data": str(tmp_path / "photos"), "output": str(tmp_path / "taken")}
    assert "name another folder" in error_of(pack, PackSettings(**settings))
    pack(PackSettings(**settings | {"output": str(tmp_path / "free")}))
    assert len(open_source(f"records:{tmp_path / 'free'}")) == 2


@pytest.mark.parametrize("remedy", ["repair", "remove", "skip_broken"])
def test_a_broken_image_is_repaired_or_removed_or_skipped(tmp_path, remedy):
    write_images(tmp_path, ["a.png", "b.png"])
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(b"")
    message = error_of(open_folder, tmp_path)
    assert "repair or remove, or pass skip_broken=True" in message
    if remedy == "repair":
        (tmp_path / "a.png").write_bytes(whole)
    if remedy == "remove":
        os.remove(re.search(rf"{tmp_path}/\S+", message)[0])
    source = open_folder(tmp_path, skip_broken=remedy == "skip_broken")
    assert source.names == (["a.png", "b.png"] if remedy == "repair" else ["b.png"])
    assert source.load([len(source) - 1], 8).any()


@pytest.mark.parametrize("error", [ImageChanged, NotFound])
def test_an_image_that_changed_under_a_run_is_put_back(tmp_path, error):
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    source, path = open_folder(tmp_path / "photos"), tmp_path / "photos" / "b.png"
    shutil.move(path, tmp_path / "former.png")
    if error is ImageChanged:
        path.write_bytes(encoded(gradient(30, 30)))
    with pytest.raises(error, match=r"put the (original )?file back"):
        source.content(1, is_trained_on=True)
    shutil.move(tmp_path / "former.png", path)
    assert np.array_equal(source.content(1, is_trained_on=True), path.read_bytes())
