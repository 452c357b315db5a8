"""The commands that the page of a folder shows."""

import shlex
from pathlib import Path

import pytest
from helpers.pictures import write_images

from and_tf.cli import embed, search
from and_tf.cli.embed import _commands
from and_tf.collection.settings import embed_settings
from and_tf.errors import UserError
from and_tf.settings import SettingError


def test_the_commands_on_the_page_are_taken_by_their_programs_whatever_the_paths():
    values = {"images": "my photos", "output": "a b.parquet"}
    first, second, _ = (each.text for each in _commands(values, values["output"]))
    assert first.startswith("python embed.py ") and second.startswith("python search.py ")
    assert embed.flags().parse(shlex.split(first)[2:])["images"] == "my photos"
    assert search.flags().parse(shlex.split(second)[2:])["index"] == "a b.parquet"


def test_switches_are_written_as_users_write_them():
    command = _commands({"update": True, "skip_broken": False}, "t.parquet")[0].text
    assert command.endswith("embed.py --update --noskip_broken")


def test_the_command_that_moves_duplicates_is_a_dry_run_to_a_folder_beside_the_photos():
    values = {"images": "my photos", "output": "a.parquet", "move_duplicates_to": "elsewhere"}
    move = _commands(values, values["output"])[-1]
    assert move.section == "duplicates" and move.text.endswith(" --dry_run")
    flags = embed.flags().parse(shlex.split(move.text)[2:])
    assert flags["dry_run"] and flags["images"] == "my photos"
    assert flags["move_duplicates_to"] == str(Path("my photos-duplicates").absolute())


def test_too_few_photos_to_train_on_are_refused_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_images(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    with pytest.raises(UserError, match=r"^3 images are too few.* 500 are enough.*pretrained\.md"):
        embed._prepare({"images": "photos"})
    assert callable(embed._prepare({"images": "photos", "model": "x.keras"}))
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / "weights.h5").touch()
    assert callable(embed._prepare({"images": "photos"}))


def test_no_move_is_shown_where_it_would_be_refused():
    values = {"images": "photos", "duplicate_similarity": 0.9}
    with pytest.raises(SettingError, match="moves only images whose pixels agree"):
        embed_settings(values | {"move_duplicates_to": "elsewhere"})
    assert all(each.section == "method" for each in _commands(values, "a.parquet"))
