"""Photos like a given one are found by the encoder that made the table, and by no other."""

import re

import numpy as np
import pytest
from helpers.html_reader import Reader
from helpers.pictures import write_images

from and_tf import encoders
from and_tf.collection import search
from and_tf.collection.embed import embed_folder
from and_tf.collection.search import index_path, search_table
from and_tf.collection.search_settings import SearchSettings
from and_tf.collection.settings import embed_settings
from and_tf.collection.table import write_table
from and_tf.collection.table_reading import read_table
from and_tf.errors import BrokenImage, NotFound, UserError
from and_tf.export import export_encoder

pytestmark = pytest.mark.usefixtures("thin_resnet")

NAMES = [f"{kind}/{number}.png" for kind in ("cats", "dogs") for number in range(10)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with 20 photos, an encoder, and the table that it made of them."""
    folder = tmp_path_factory.mktemp("made")
    write_images(folder / "photos", NAMES, side=12)
    for seed, name in enumerate(("a", "b")):
        encoder = encoders.build_encoder("resnet_small", (8, 8, 3), embedding_dim=4, seed=seed)
        export_encoder(encoder, folder / f"{name}.keras", "keras")
    values = {"model": str(folder / "a.keras"), "images": str(folder / "photos")}
    embed_folder(embed_settings(values | {"output": str(folder / "table.parquet")}))
    return folder


@pytest.fixture
def find(made, tmp_path):
    """Searches the table; returns what was found."""

    def run(query, **changes):
        values = {"index": str(made / "table.parquet"), "page": str(tmp_path / "page.html")}
        return search_table(SearchSettings(query=str(query), **(values | changes)))

    return run


def naive(table, own, count):
    """Names of the nearest other rows of one row, by sorting all cosines."""
    unit = table.embeddings / np.linalg.norm(table.embeddings, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[own]), kind="stable")
    return [table.paths[row] for row in order if row != own][:count]


def test_a_photo_from_elsewhere_finds_its_like_and_then_what_all_cosines_say(
    made, find, tmp_path, capsys
):
    table = read_table(made / "table.parquet")
    (tmp_path / "3.png").write_bytes((made / "photos" / "dogs" / "3.png").read_bytes())
    (found,) = find(tmp_path / "3.png", nearest=6)
    assert found.nearest[0].name == "dogs/3.png"
    assert found.nearest[0].cosine == pytest.approx(1, abs=1e-6)
    own = table.paths.index("dogs/3.png")
    assert [near.name for near in found.nearest[1:]] == naive(table, own, 5)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3.png" and re.fullmatch(r"    1  1\.0000  dogs/3\.png", lines[1])


def test_a_file_of_the_folder_does_not_find_itself_by_whatever_path(
    made, find, tmp_path, monkeypatch
):
    table = read_table(made / "table.parquet")
    expected = naive(table, table.paths.index("dogs/3.png"), 5)
    (tmp_path / "link").symlink_to(made / "photos")
    monkeypatch.chdir(made / "photos" / "cats")
    for query in (
        made / "photos" / "dogs" / "3.png",
        "../dogs/3.png",
        tmp_path / "link/dogs/3.png",
    ):
        assert [near.name for near in find(query, nearest=5)[0].nearest] == expected


def test_a_row_of_the_table_needs_no_encoder_and_does_not_find_itself(made, find, monkeypatch):
    monkeypatch.setattr("and_tf.collection.search_queries.encoder_of", None)
    (found,) = find("cats/7.png", nearest=5)
    table = read_table(made / "table.parquet")
    assert [near.name for near in found.nearest] == naive(table, table.paths.index("cats/7.png"), 5)


def test_a_folder_of_photos_searches_for_each(made, find):
    found = find(made / "photos" / "cats", nearest=2)
    assert [result.name for result in found] == [f"{number}.png" for number in range(10)]
    table = read_table(made / "table.parquet")
    for result in found:
        own = table.paths.index(f"cats/{result.name}")
        assert [near.name for near in result.nearest] == naive(table, own, 2)


def test_more_than_there_are_gives_all(find):
    assert len(find("cats/0.png", nearest=100)[0].nearest) == 19


def test_the_page_shows_and_links_what_was_found(made, find, tmp_path):
    find("cats/0.png", nearest=3, page=str(tmp_path / "new" / "p.html"))
    text = (tmp_path / "new" / "p.html").read_text()
    page = Reader(text)
    images = page.all("img")
    assert len(images) == 4 and all(each["src"].startswith("data:image/jpeg") for each in images)
    links = [each["href"] for each in page.all("a") if each["href"].endswith(".png")]
    assert len(links) == 4  # the photo itself, and three
    for link in links:
        assert (tmp_path / "new" / link).resolve().is_relative_to(made / "photos")
        assert (tmp_path / "new" / link).is_file()


def test_names_in_the_page_are_escaped_and_lost_photos_have_a_place(tmp_path):
    names = ["<b>.png", "b&.png"]
    write_table(tmp_path / "t.npz", names, np.eye(2))
    search_table(
        SearchSettings(
            index=str(tmp_path / "t.npz"), query="<b>.png", page=str(tmp_path / "p.html")
        )
    )
    text = (tmp_path / "p.html").read_text()
    assert "&lt;b&gt;.png" in text and "<b>.png" not in text and "b&amp;.png" in text
    assert "not found" in text


def test_what_is_nowhere_is_named_with_a_close_path(find):
    with pytest.raises(NotFound, match=r"cats/77\.png.* is neither a file.*Did you mean cats/7"):
        find("cats/77.png")


def test_a_moved_encoder_is_named_with_the_remedy_and_found_where_it_lies_now(made, find, tmp_path):
    moved, photo = tmp_path / "moved.keras", made / "photos" / "cats" / "0.png"
    (made / "a.keras").rename(moved)
    try:
        with pytest.raises(NotFound, match=r"made by the encoder .*a\.keras, which is not there"):
            find(photo)
        assert find(photo, model=str(moved))[0].nearest
    finally:
        moved.rename(made / "a.keras")


def test_another_encoder_is_refused(made, find):
    with pytest.raises(UserError, match=r"another encoder, .*a\.keras.*cannot be compared"):
        find(made / "photos" / "cats" / "0.png", model=str(made / "b.keras"))


def test_a_table_of_an_earlier_version_needs_to_be_told_the_encoder(made, find, tmp_path):
    table = read_table(made / "table.parquet")
    np.savez(tmp_path / "old.npz", path=np.array(table.paths), embedding=table.embeddings)
    photo, old = made / "photos" / "cats" / "0.png", str(tmp_path / "old.npz")
    with pytest.raises(UserError, match="does not say which encoder made it: name it with model"):
        find(photo, index=old)
    found = find(photo, index=old, model=str(made / "a.keras"))
    assert found[0].nearest[0].name == "cats/0.png"
    assert find("cats/1.png", index=old)[0].nearest


def test_an_index_is_built_once_and_anew_for_another_table(made, find, monkeypatch, caplog):
    pytest.importorskip("faiss")
    exact = find("cats/7.png", nearest=4)
    with caplog.at_level("INFO"):
        by_index = find("cats/7.png", nearest=4, search="faiss")
    assert "table.faiss" in caplog.text and "100.0 % of the 10 nearest" in caplog.text
    assert [n.name for n in exact[0].nearest] == [n.name for n in by_index[0].nearest]
    built = []
    plain = search.build_index
    monkeypatch.setattr(search, "build_index", lambda *a: built.append(a) or plain(*a))
    again = find("cats/7.png", nearest=4, search="faiss")
    assert not built and again == by_index
    photo = find(made / "photos" / "cats" / "7.png", nearest=4, search="faiss")
    assert [n.name for n in photo[0].nearest] == [n.name for n in exact[0].nearest]
    table = read_table(made / "table.parquet")
    other = made / "other.parquet"
    write_table(other, table.paths, table.embeddings[::-1], metadata=table.metadata)
    index_path(other).write_bytes(index_path(table.path).read_bytes())
    with caplog.at_level("INFO"):
        find("cats/7.png", search="faiss", index=str(other))
    assert len(built) == 1 and "of another table" in caplog.text


def test_large_tables_are_searched_by_an_index_where_faiss_is_installed(find, monkeypatch, made):
    pytest.importorskip("faiss")
    index_path(made / "table.parquet").unlink(missing_ok=True)
    monkeypatch.setattr(search, "ROWS_FOR_AN_INDEX", 21)
    find("cats/7.png")
    assert not index_path(made / "table.parquet").exists()
    monkeypatch.setattr(search, "ROWS_FOR_AN_INDEX", 20)
    find("cats/7.png")
    assert index_path(made / "table.parquet").exists()


def test_a_place_for_the_page_is_refused_before_the_search(find, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "read_table", None)
    for page, words in ((tmp_path, "is a directory"), (tmp_path / "a.txt", r"must end in \.html")):
        with pytest.raises(UserError, match=words):
            find("cats/7.png", page=str(page))


def test_a_query_that_is_no_image_is_refused_without_a_remedy_of_other_programs(find, tmp_path):
    (tmp_path / "hosts").write_text("127.0.0.1 localhost")
    with pytest.raises(BrokenImage, match=r"hosts'? cannot be read .*give another file") as caught:
        find(tmp_path / "hosts")
    assert "skip_broken" not in str(caught.value)
