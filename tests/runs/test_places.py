import pathlib

import numpy as np
import pytest

from and_tf.collection.clusters.copying import check_copies_place
from and_tf.collection.duplicates.moving import check_target
from and_tf.collection.table import write_table
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
    with pytest.raises(UserError, match="is below the file"):
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


def packed(address):
    from and_tf.data.pack import pack
    from and_tf.data.pack_settings import PackSettings

    pack(PackSettings(data="photos", output=address))


def exported(address):
    from and_tf.export import export_encoder

    export_encoder(None, f"{address}/x.keras", "keras")


def reported(address):
    from and_tf.report.settings import ReportSettings

    check_place("output", ReportSettings(output=f"{address}/x.html").page_path(pathlib.Path()))


WRITTEN = {
    "table": lambda address: write_table(f"{address}/x.npz", ["1.png"], np.ones((1, 3))),
    "moves": lambda address: check_target(pathlib.Path("photos"), pathlib.Path(address)),
    "copies": lambda address: check_copies_place(pathlib.Path(address), pathlib.Path("photos")),
    "records": packed,
    "export": exported,
    "report": reported,
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_nothing_is_written_to_an_address(tmp_path, monkeypatch, written):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=r"gs:/bucket.* is an address"):
        written("gs://bucket/new")
    assert [path.name for path in tmp_path.rglob("*")] == ["photos"]
