import pathlib

import pytest

from and_tf.errors import UserError
from and_tf.runs.places import check_place, make_folder_of
from and_tf.runs.workdir import open_run


def test_a_folder_that_does_not_exist_yet_is_made_only_for_writing(tmp_path):
    path = tmp_path / "a" / "b" / "page.html"
    assert check_place("output", path) == path and not (tmp_path / "a").exists()
    make_folder_of(path).write_text("x")
    assert make_folder_of(path).read_text() == "x"


def test_a_relative_name_lies_in_the_folder_of_the_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_folder_of(check_place("output", tmp_path / "x.npz"))


def test_places_where_nothing_could_be_written_are_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"output: .* is a directory"):
        check_place("output", tmp_path)
    with pytest.raises(UserError, match="lies below the file"):
        check_place("output", tmp_path / "file" / "a" / "page.html")
    monkeypatch.setattr("os.access", lambda *others: False)
    with pytest.raises(UserError, match="cannot be written to"):
        check_place("output", tmp_path / "a" / "page.html")


@pytest.mark.parametrize("address", ["gs://bucket/run", "s3://a", "hdfs://host:80/x"])
def test_an_address_is_no_folder_of_its_scheme(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"output=.* is an address"):
        check_place("output", pathlib.Path(address))
    with pytest.raises(UserError, match=r"workdir=.* is an address"):
        open_run(address)
    (tmp_path / "a:b").mkdir()
    check_place("output", pathlib.Path("a:b/page.html"))
    check_place("output", tmp_path / "c:" / "page.html")
