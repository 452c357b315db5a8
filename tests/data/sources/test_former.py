"""Runs of versions that read fewer kinds of files find their images."""

import pytest
from helpers.pictures import write_images

from and_tf.data.sources.former import as_begun
from and_tf.data.sources.opening import open_source


@pytest.fixture
def grown(tmp_path):
    """A folder, its fingerprint before files of further kinds were read, and what it holds now."""
    write_images(tmp_path, ["a/1.png", "b/2.jpg"])
    before = open_source(f"folder:{tmp_path}").fingerprint
    write_images(tmp_path, ["a/0.tif", "b/3.jfif"])
    return tmp_path, before, open_source(f"folder:{tmp_path}")


def test_files_of_further_kinds_are_left_out_of_a_run_that_began_without(grown, caplog):
    _, before, now = grown
    assert len(now) == 4
    assert as_begun(now, before).names == ["a/1.png", "b/2.jpg"]
    assert "2 of formats that were not read then" in caplog.text


def test_other_changes_are_left_to_be_told(grown):
    folder, before, now = grown
    assert as_begun(now, now.fingerprint) is now
    assert as_begun(now, None) is now
    write_images(folder, ["a/4.png"])
    changed = open_source(f"folder:{folder}")
    assert as_begun(changed, before) is changed
    digits = open_source("digits")
    assert as_begun(digits, "another") is digits
