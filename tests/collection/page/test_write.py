"""The page of a folder as text: what stands on it, and that every photo is within reach."""

import os
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from helpers.collections import (
    all_findings,
    open_collection,
    write_folder_page,
    write_jpegs,
)
from helpers.html_reader import Reader

from and_tf.collection.findings import Findings
from and_tf.collection.outliers import Outliers
from and_tf.collection.page import write
from and_tf.collection.page.write import check_page, page_path, write_page
from and_tf.collection.settings import PageSettings, embed_settings
from and_tf.errors import MissingPackage, UserError
from and_tf.report.page.originals import shown_name

CLASSES = [f"{name}/{i}.jpg" for name in ("hat", "shoe") for i in range(12)]
NAMES = [
    "a b.jpg",
    "a#b.jpg",
    "50%25.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    "é.jpg",
    "e\u0301.jpg",
    "what?.jpg",
    "back\\slash.jpg",
    "sub folder/d.jpg",
    b"\xff\xfe.jpg".decode("utf-8", "surrogateescape"),
]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The page of 24 photos in two folders, and their collection."""
    folder = tmp_path_factory.mktemp("labelled")
    write_jpegs(folder / "photos", CLASSES)
    page = folder / "features.html"
    collection = write_folder_page(folder / "photos", page, "folders")
    return collection, Reader(page.read_text(encoding="utf-8"))


def test_the_page_holds_every_section_in_the_order_of_a_reader(labelled):
    _, page = labelled
    assert [a["id"] for a in page.all("h2")] == [
        "verdict", "neighbours", "clusters", "duplicates", "outliers", "quality", "suspect-labels",
        "explorer", "method",
    ]  # fmt: skip
    for words in (
        "24 photos: 1 group of duplicates, 2 outliers, 4 of doubtful quality, 1 suspect label, 3",
        "With fewer than 500 photos", "Three come back most often.", "Strangers near.", "keep",
        "the nearest other photo is in the same folder", "Embedded by a.keras",
        "python embed.py --images=photos", "0.97", "t-SNE",
        "48 \N{MULTIPLICATION SIGN} 36",
    ):  # fmt: skip
        assert words in page.text, words


def test_every_photo_is_in_the_explorer_with_its_name_picture_neighbours_and_file(labelled):
    collection, page = labelled
    data = page.data
    assert data["names"] == collection.names
    assert len(data["thumbnails"]["addresses"]) == len(data["near"]) == 24
    np.testing.assert_array_equal(data["near"], collection.neighbours)
    np.testing.assert_allclose(
        np.array(data["cosines"]) / 1000, collection.similarity, atol=0.00051
    )
    assert data["originals"] == {"base": "photos/", "others": {}}
    assert {facet["key"]: facet["values"] for facet in data["facets"]} == {
        "class": collection.source.labels.tolist(),
        "cluster": all_findings(collection).clusters.numbers.tolist(),
    }
    marks = {mark["key"]: mark["images"] for mark in data["marks"]}
    assert marks["outlier"] == [1, 4] and marks["blurred"] == [0, 1, 2] and marks["spare"] == [2]
    assert "dark" not in marks and sorted(data["map"]) == list(range(24))


def test_pictures_outside_the_explorer_link_to_it(labelled):
    _, page = labelled
    links = [a["href"] for a in page.all("a") if "href" in a]
    photos = {int(link.removeprefix("#photo-")) for link in links if link.startswith("#photo-")}
    assert photos <= set(range(24)) and len(photos) > 12
    shown = [link for link in links if link.startswith("#show-")]
    keys = {f"#show-finding-{mark['key']}" for mark in page.data["marks"]}
    assert shown and {link for link in shown if link.startswith("#show-finding-")} <= keys


def test_neighbours_have_ranks_beside_their_cosines(labelled):
    collection, page = labelled
    first = page.data["near"][0][0]
    cosine = f"1 · {collection.similarity[0, 0]:.2f}"
    assert cosine in page.text and first == collection.neighbours[0, 0]


def test_nothing_on_the_page_comes_from_elsewhere(labelled):
    _, page = labelled
    sources = [a["src"] for a in page.all("img")]
    assert len(sources) > 100 and all(source.startswith("data:image/jpeg") for source in sources)
    assert all("src" not in script for script in page.all("script"))
    assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
    policy = page.all("meta")[1]["content"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert all(image.get("alt") for image in page.all("img"))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_files_of_any_name_are_shown_as_text_and_linked(tmp_path):
    write_jpegs(tmp_path / "my photos", NAMES)
    (tmp_path / "out").mkdir()
    page = tmp_path / "out" / "page.html"
    collection = write_folder_page(tmp_path / "my photos", page)
    read = Reader(page.read_text(encoding="utf-8"))
    assert read.data["names"] == [shown_name(name) for name in collection.names]
    assert not any("onerror" in attributes for _, attributes in read.elements)
    originals = read.data["originals"]
    for i, (name, item) in enumerate(zip(read.data["names"], collection.source.items, strict=True)):
        url = originals["others"].get(str(i), originals["base"] + name)
        found = os.path.join(os.fsencode(page.parent), unquote_to_bytes(url))
        assert os.path.samefile(found, os.fsencode(item)), url
        assert not set(url) & set(" #?<>\\") and url.isascii()


def section(page, anchor):
    """The HTML of a section of a page."""
    return page.read_text().partition(f'<h2 id="{anchor}"')[2].partition("</section>")[0]


def test_verdicts_leave_measures_of_the_encoder_to_the_method(tmp_path):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(8)])
    write_folder_page(tmp_path / "photos", tmp_path / "a.html")
    assert "uniformity" not in section(tmp_path / "a.html", "verdict")
    assert "uniformity" in section(tmp_path / "a.html", "method")


def test_the_duplicates_say_how_to_move_them(tmp_path):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(8)])
    write_folder_page(tmp_path / "photos", tmp_path / "a.html")
    assert "--dry_run</span></pre>" in section(tmp_path / "a.html", "duplicates")
    assert "--dry_run" not in section(tmp_path / "a.html", "method")


@pytest.mark.parametrize("dry_run", [False, True])
def test_links_lead_to_where_duplicates_will_have_been_moved(tmp_path, dry_run):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(8)])
    page, target = tmp_path / "a.html", str(tmp_path / "spare")
    write_folder_page(tmp_path / "photos", page, move_duplicates_to=target, dry_run=dry_run)
    originals = Reader(page.read_text()).data["originals"]
    moved = {} if dry_run else {"2": "spare/2.jpg"}  # the group is of 2 and 3, which is kept
    assert originals == {"base": "photos/", "others": moved}
    text = section(page, "duplicates")
    assert ("were moved to" in text) is not dry_run and ("--dry_run" in text) is dry_run


def test_a_single_outlier_is_one(tmp_path):
    def one(collection):
        scores = np.ones(len(collection))
        return Findings(outliers=Outliers(scores, scores > np.arange(len(scores)), 5))

    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(8)])
    write_folder_page(tmp_path / "photos", tmp_path / "a.html", findings=one)
    text = section(tmp_path / "a.html", "outliers")
    assert ">Show it in the explorer</a>" in text and "All 1" not in text


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_handful_of_photos_has_a_page(tmp_path, count):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(count)])
    write_folder_page(tmp_path / "photos", tmp_path / "a.html", findings=lambda _: Findings())
    page = Reader((tmp_path / "a.html").read_text())
    headings = {a["id"] for a in page.all("h2")}
    assert headings == {"verdict", "explorer", "method"} | ({"neighbours"} if count > 1 else set())
    assert len(page.data["near"]) == count and "cannot be measured without labels" in page.text


def test_a_collapsed_encoder_is_called_one(tmp_path):
    write_jpegs(tmp_path / "photos", [f"{i}.jpg" for i in range(8)])
    collection = open_collection(tmp_path / "photos")
    collection.embeddings[:] = collection.embeddings[:1]
    settings = embed_settings({"images": str(tmp_path / "photos")})
    page = write_page(
        tmp_path / "a.html", collection, Findings(), settings, tmp_path / "a.npz"
    ).read_text()
    assert "can hardly tell these photos apart: trust none of this" in page
    assert 'class="verdict poor"' in page


def test_the_page_lies_beside_the_table_unless_another_place_or_none_is_named(tmp_path):
    table = tmp_path / "features.parquet"
    assert page_path(PageSettings(), table) == tmp_path / "features.html"
    assert page_path(PageSettings(page="none"), table) is None
    assert check_page(PageSettings(page="none"), table) is None
    assert page_path(PageSettings(page="a/b.html"), table).as_posix() == "a/b.html"


def test_a_page_that_could_not_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    table = tmp_path / "features.npz"
    with pytest.raises(UserError, match=r"page='a\.txt' must end in \.html, or be none"):
        check_page(PageSettings(page="a.txt"), table)
    (tmp_path / "features_page").mkdir()
    with pytest.raises(UserError, match="features_page, which holds something else"):
        check_page(PageSettings(), table)
    (tmp_path / "features_page" / ".nomedia").touch()
    assert check_page(PageSettings(), table) == tmp_path / "features.html"
    monkeypatch.setattr(write.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install jinja2"):
        check_page(PageSettings(), table)
