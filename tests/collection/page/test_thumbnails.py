"""Thumbnails of a folder's photos: in the page, or in files beside it where they are many."""

import base64
import io
import urllib.parse

import numpy as np
from helpers.collections import write_jpegs
from PIL import Image

from and_tf.collection.page import thumbnails
from and_tf.collection.page.thumbnails import make_thumbnails, thumbnails_folder
from and_tf.data.sources.folder import open_folder
from and_tf.report.thumbnails import PICTURE_SIDE


def pixels_of(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)


def test_few_thumbnails_are_part_of_the_page(tmp_path):
    write_jpegs(tmp_path / "photos", ["a.jpg", "b.jpg"])
    source = open_folder(tmp_path / "photos")
    made = make_thumbnails(source, tmp_path / "page.html")
    assert not thumbnails_folder(tmp_path / "page.html").exists()
    for index in range(2):
        head, _, data = made.address(index).partition(",")
        assert head == "data:image/jpeg;base64" and made.data["addresses"][index].endswith(data)
        found = pixels_of(base64.b64decode(data))
        expected = source.load(np.array([index]), PICTURE_SIDE)[0].astype(int)
        assert found.shape == (PICTURE_SIDE, PICTURE_SIDE, 3)
        assert np.abs(found - expected).mean() < 4


def test_many_thumbnails_lie_beside_the_page_each_at_its_address(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_INLINE", 11)
    write_jpegs(tmp_path / "photos", [f"{i:02}.jpg" for i in range(12)])
    source = open_folder(tmp_path / "photos")
    page = tmp_path / "my #1 page.html"
    made = make_thumbnails(source, page)
    files = sorted(path.name for path in thumbnails_folder(page).glob("*.jpg"))
    assert files == [f"{i:02}.jpg" for i in range(12)]
    for index in (0, 11):
        path = tmp_path / urllib.parse.unquote(made.address(index))
        expected = source.load(np.array([index]), PICTURE_SIDE)[0].astype(int)
        assert np.abs(pixels_of(path.read_bytes()) - expected).mean() < 4
    assert made.data == {"folder": "my%20%231%20page_page", "digits": 2}


def test_a_second_page_replaces_the_thumbnails_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_INLINE", 1)
    write_jpegs(tmp_path / "photos", ["a.jpg", "b.jpg", "c.jpg"])
    make_thumbnails(open_folder(tmp_path / "photos"), tmp_path / "page.html")
    (tmp_path / "photos" / "a.jpg").unlink()
    make_thumbnails(open_folder(tmp_path / "photos"), tmp_path / "page.html")
    names = sorted(path.name for path in thumbnails_folder(tmp_path / "page.html").iterdir())
    assert names == [".nomedia", "0.jpg", "1.jpg"]
    assert not list(tmp_path.glob("*.partial"))


def test_thumbnails_are_not_taken_for_photos_of_the_folder_they_lie_in(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_INLINE", 1)
    write_jpegs(tmp_path, ["a.jpg", "b.jpg"])
    make_thumbnails(open_folder(tmp_path), tmp_path / "features.html")
    assert open_folder(tmp_path).names == ["a.jpg", "b.jpg"]


def test_every_photo_is_decoded_once(tmp_path, monkeypatch):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(9)])
    source = open_folder(tmp_path / "photos")
    loaded = []
    plain = type(source).load
    monkeypatch.setattr(
        type(source),
        "load",
        lambda self, rows, size: loaded.extend(rows) or plain(self, rows, size),
    )
    make_thumbnails(source, tmp_path / "page.html")
    assert loaded == list(range(9))
