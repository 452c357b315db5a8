"""What export.py wrote is known by a checksum before TensorFlow opens it: it is a program."""

import json

import pytest

from and_tf.errors import BrokenFile
from and_tf.export import load_exported, savedmodel
from and_tf.export.savedmodel_files import DESCRIPTION, content_checksum, read_description


@pytest.fixture
def folder(tmp_path):
    """The files of an export, with made-up content."""
    folder = tmp_path / "encoder"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"a program")
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    describe(folder, checksum=content_checksum(folder))
    return folder


def describe(folder, **fields):
    (folder / DESCRIPTION).parent.mkdir(exist_ok=True)
    (folder / DESCRIPTION).write_text(
        json.dumps({"image_size": 8, "embedding_dim": 4, "and_tf_version": "1"} | fields)
    )


def move(folder):
    (folder / "saved_model.pb").rename(folder / "variables" / "saved_model.pb")


CHANGES = {
    "another program": lambda f: (f / "saved_model.pb").write_bytes(b"b program"),
    "other weights": lambda f: (f / "variables" / "variables.index").write_bytes(b"Weights"),
    "one more file": lambda f: (f / "assets.txt").write_bytes(b""),
    "no program": lambda f: (f / "saved_model.pb").unlink(),
    "elsewhere": move,
    "of an earlier version": describe,
    "of nobody": lambda f: describe(f, checksum="0"),
}


def test_what_was_written_is_taken_and_files_of_file_browsers_are_passed_over(folder):
    (folder / ".DS_Store").write_bytes(b"")
    assert read_description(folder)["image_size"] == 8


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_not_written_is_refused_before_it_runs_unless_it_is_trusted(
    folder, change, monkeypatch
):
    CHANGES[change](folder)
    monkeypatch.setattr(savedmodel, "load", lambda path: pytest.fail("it was opened"))
    with pytest.raises(BrokenFile, match=r"is a program.*Export.*again.*pass trust_model=True"):
        load_exported(folder)
    assert read_description(folder, is_trusted=True)["embedding_dim"] == 4


@pytest.mark.parametrize("is_trusted", [False, True])
@pytest.mark.parametrize(
    ("text", "words"),
    [('{"image_size": "8"}', 'image_size is "8", not a whole number from 1 to 8192'),
     ("[", "cannot be read"), ("[]", "it holds")],
)  # fmt: skip
def test_a_description_that_nobody_wrote_is_named(folder, text, words, is_trusted):
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(BrokenFile, match=words):
        read_description(folder, is_trusted)


def test_a_savedmodel_of_others_is_none_of_ours(folder):
    (folder / DESCRIPTION).unlink()
    with pytest.raises(BrokenFile, match=r"not an encoder written by export\.py"):
        load_exported(folder, trust_model=True)
