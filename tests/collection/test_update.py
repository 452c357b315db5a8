"""An updated table equals one of all photos embedded anew; what does not fit is refused."""

import os
import re

import numpy as np
import pytest
from helpers.edited_photos import scene
from helpers.pictures import write_images
from PIL import Image, ImageFilter

from and_tf import encoders
from and_tf.collection import embed as embed_module
from and_tf.collection import files as collection_files
from and_tf.collection import kept_pictures, update
from and_tf.collection.embed import embed_folder
from and_tf.collection.files import FILE_COLUMNS
from and_tf.collection.page import thumbnails
from and_tf.collection.settings import embed_settings
from and_tf.collection.table import write_table
from and_tf.collection.table_reading import read_table
from and_tf.data import decode, decoder_warnings, file_checks
from and_tf.data.sources.encoded import EncodedSource
from and_tf.errors import UserError
from and_tf.export import export_encoder

pytestmark = pytest.mark.usefixtures("thin_resnet")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two encoders of one size and another, in files."""
    folder = tmp_path_factory.mktemp("models")
    for name, side, seed in (("a", 8, 0), ("b", 8, 1), ("large", 16, 0)):
        encoder = encoders.build_encoder(
            "resnet_small", (side, side, 3), embedding_dim=4, seed=seed
        )
        export_encoder(encoder, folder / f"{name}.keras", "keras")
    return folder


@pytest.fixture
def photos(tmp_path):
    """Seven photos, more than two batches of three."""
    names = [f"{name}.png" for name in "abcdefg"]
    write_images(tmp_path / "photos", names)
    return tmp_path / "photos"


@pytest.fixture
def embed(models, photos):
    """Embeds the photos into a table beside them; returns it as read."""

    def run(name="table.npz", **changes):
        values = {"model": str(models / "a.keras"), "images": str(photos), "batch_size": 3}
        values |= {"output": str(photos.parent / name)} | changes
        return read_table(embed_folder(embed_settings(values)), FILE_COLUMNS)

    return run


@pytest.fixture
def embedded(monkeypatch):
    """Names of the images that an update embeds."""
    names = []
    plain = update.embed_source

    def watch(encoder, source, batch_size):
        names.extend(source.names)
        return plain(encoder, source, batch_size)

    monkeypatch.setattr(update, "embed_source", watch)
    return names


def change(photos):
    """One photo goes, one comes, one becomes another, one is only touched."""
    (photos / "a.png").unlink()
    write_images(photos / "new", ["z.png", "y.png"])
    os.replace(photos / "new" / "y.png", photos / "d.png")
    os.utime(photos / "e.png", ns=(1, 1))


@pytest.mark.parametrize("name", ["table.npz", "table.parquet"])
def test_an_update_is_embedding_anew_to_the_last_bit(embed, photos, embedded, name, caplog):
    embed(name)
    change(photos)
    with caplog.at_level("INFO"):
        updated = embed(name, update=True)
    anew = embed("anew.npz")
    assert updated.paths == anew.paths == [
        "b.png", "c.png", "d.png", "e.png", "f.png", "g.png", "new/z.png"
    ]  # fmt: skip
    np.testing.assert_array_equal(updated.embeddings, anew.embeddings)
    for column in FILE_COLUMNS:
        np.testing.assert_array_equal(updated.columns[column], anew.columns[column])
    assert embedded == ["d.png", "new/z.png"]
    assert "5 images kept, 1 new, 1 changed, 1 removed" in caplog.text


def test_a_change_that_sets_size_and_time_back_is_found(embed, photos, embedded):
    state = os.stat(photos / "b.png")
    embed()
    content = bytearray((photos / "b.png").read_bytes())
    content[-20] ^= 1  # in the checksum of the last chunk: size and header stay
    (photos / "b.png").write_bytes(content)
    os.utime(photos / "b.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    changes = update.find_changes(
        read_table(photos.parent / "table.npz", FILE_COLUMNS), *_now(photos)
    )
    assert changes.changed == 1 and changes.rows[1] == -1


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda rows: rows[:, :2], "holds 2 values per image, but its encoder gives 4"),
        (lambda rows: rows[::-1], "holds embeddings that do not match its metadata"),
    ],
)
def test_embeddings_that_were_not_written_so_are_refused(embed, photos, forge, words):
    """Of another width, or of other images: also where no photo is new."""
    path = embed().path
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **arrays | {"embedding": forge(arrays["embedding"])})
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            embed(update=True)
        assert words in str(caught.value) and "leave out update=True" in str(caught.value)
        write_images(photos / "new", ["z.png"])


def _now(photos):
    from and_tf.data.sources.folder import open_folder

    source = open_folder(photos)
    return source.names, collection_files.files_of(source)


def test_checksums_of_a_large_collection_are_read_only_where_times_differ(
    embed, photos, monkeypatch
):
    """Where the source has no checksums, as above 4 GB, the update reads those it needs."""
    plain = collection_files.files_of

    def without_checksums(source):
        source.checksums = None
        return plain(source)

    monkeypatch.setattr("and_tf.collection.embed.files_of", without_checksums)
    embed()
    change(photos)
    read = []
    checksum = collection_files._checksum

    def watch(path):
        read.append(os.path.relpath(path, photos))
        return checksum(path)

    monkeypatch.setattr(collection_files, "_checksum", watch)
    updated = embed(update=True)
    assert sorted(read) == ["d.png", "e.png", "new/z.png"]
    monkeypatch.undo()
    anew = embed("anew.npz")
    np.testing.assert_array_equal(updated.embeddings, anew.embeddings)
    for column in FILE_COLUMNS:
        np.testing.assert_array_equal(updated.columns[column], anew.columns[column])


def test_nothing_changed_means_nothing_embedded(embed, photos, embedded):
    before = embed()
    after = embed(update=True)
    assert embedded == []
    np.testing.assert_array_equal(before.embeddings, after.embeddings)


def test_without_a_table_all_photos_are_embedded(embed, embedded, caplog):
    with caplog.at_level("INFO"):
        table = embed(update=True)
    assert len(table) == len(embedded) == 7
    assert "no" in caplog.text and "all images are embedded" in caplog.text


def test_names_that_utf8_cannot_hold_are_embedded_anew_where_they_are_alike(embed, photos):
    for number in (0xE9, 0xE8):  # é and è in Latin-1: "?" in a table
        name = os.fsencode(photos) + b"/caf" + bytes([number]) + b".png"
        with open(name, "wb") as file:
            file.write((photos / ("a.png" if number == 0xE9 else "b.png")).read_bytes())
    embed()
    updated, anew = embed(update=True), embed("anew.npz")
    np.testing.assert_array_equal(updated.embeddings, anew.embeddings)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_a_stop_during_an_update_leaves_the_old_table(embed, photos, monkeypatch, stop):
    embed()
    table = photos.parent / "table.npz"
    before = table.read_bytes()
    change(photos)

    def fail(self, indices, size):
        raise stop

    monkeypatch.setattr(EncodedSource, "load", fail)
    with pytest.raises(stop):
        embed(update=True)
    assert table.read_bytes() == before
    monkeypatch.undo()
    assert len(embed(update=True)) == 7


@pytest.mark.parametrize(
    ("model", "reason"),
    [("b.keras", "embeds a test image differently"), ("large.keras", "images of 16 pixels, not 8")],
)
def test_another_encoder_is_refused_and_the_table_stays(embed, models, photos, model, reason):
    embed()
    before = (photos.parent / "table.npz").read_bytes()
    with pytest.raises(UserError, match=rf"a\.keras.*{reason}.*embed all photos again"):
        embed(update=True, model=str(models / model))
    assert (photos.parent / "table.npz").read_bytes() == before


def test_the_same_encoder_at_another_place_is_taken(embed, models, photos, tmp_path, embedded):
    embed()
    (tmp_path / "moved.keras").write_bytes((models / "a.keras").read_bytes())
    embed(update=True, model=str(tmp_path / "moved.keras"))
    assert embedded == []


def test_a_table_of_an_earlier_version_is_refused_with_the_remedy(embed, photos):
    table = embed()
    write_table(table.path, table.paths, table.embeddings)
    with pytest.raises(UserError, match=r"does not say which encoder.*leave out update"):
        embed(update=True)


def test_another_batch_size_is_mentioned(embed, caplog):
    embed()
    embed(update=True, batch_size=4)
    assert "last digits" in caplog.text and "in batches of 3" in caplog.text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_embedding_does_not_depend_on_the_others_of_its_batch(models, photos, count):
    from and_tf.collection.encoder import embed_source, open_encoder
    from and_tf.data.sources.folder import open_folder

    source, encoder = open_folder(photos), open_encoder(str(models / "a.keras"))
    whole = embed_source(encoder, source, 64)
    part = embed_source(encoder, source.take(np.arange(count)), 64)
    np.testing.assert_array_equal(part, whole[:count])


def test_an_update_takes_the_layer_that_the_table_was_made_with(embed, photos, caplog):
    embed(layer="stage1")
    change(photos)
    updated = embed(update=True)
    anew = embed("anew.npz", layer="stage1")
    np.testing.assert_array_equal(updated.embeddings, anew.embeddings)
    with pytest.raises(UserError, match="holds features of the layer stage1, but those of"):
        embed(update=True, layer="fc")


@pytest.fixture
def decoded(monkeypatch):
    """Paths of the files that are decoded, each as often as it is; their content where the start's
    check decodes them.
    """
    names = []
    plain = decode._decode

    def watch(path_or_bytes, *args):
        is_path = not isinstance(path_or_bytes, bytes)
        names.append(str(path_or_bytes) if is_path else decoder_warnings._decoding.name)
        return plain(path_or_bytes, *args)

    def watch_check(content):
        names.append(content)
        return plain(content, lambda *shape: 1, None, lambda pixels: None)

    monkeypatch.setattr(decode, "_decode", watch)
    monkeypatch.setattr(file_checks, "load_image", watch_check)
    return names


def write_scenes(folder, count=12):
    """Photos among which there are a copy in another format, one at half size, and a blurred one.

    They are older than the moment within which a file may change unseen.
    """
    folder.mkdir()
    for seed in range(count):
        scene(seed).save(folder / f"{seed:02}.png")
    scene(0).save(folder / "same.bmp")
    scene(1).resize((60, 80)).save(folder / "half.png")
    scene(2).filter(ImageFilter.GaussianBlur(3)).save(folder / "blurred.png")
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))


FOUND = ("duplicate_group", "outlier", "width", "sharpness", "brightness", "contrast", "quality",
         "neighbours", "similarity", "cluster", "path")  # fmt: skip


@pytest.mark.parametrize("most_inline", [1_000, 3], ids=["inline", "in files"])
def test_an_update_decodes_new_photos_alone_and_finds_what_embedding_anew_finds(
    models, tmp_path, decoded, monkeypatch, most_inline
):
    monkeypatch.setattr(thumbnails, "MOST_INLINE", most_inline)
    folder = tmp_path / "photos"
    write_scenes(folder)
    values = {"model": str(models / "a.keras"), "images": str(folder), "batch_size": 3}

    def run(name, **changes):
        embed_folder(embed_settings(values | {"output": str(tmp_path / name)} | changes))
        return tmp_path / name

    table = run("table.npz", clusters="3")
    page_before = table.with_suffix(".html").read_bytes()
    (folder / "03.png").unlink()
    scene(90).save(folder / "04.png")
    scene(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "flipped.png")
    monkeypatch.setattr(embed_module, "write_clusters", lambda *args: None)  # 40 of each decoded
    decoded.clear()
    run("table.npz", update=True, clusters="3")
    once = {os.path.basename(name) for name in decoded if isinstance(name, str)}
    checked = [name for name in decoded if isinstance(name, bytes)]
    assert once == {"04.png", "flipped.png"}
    assert len(decoded) - len(checked) == 2 * 3  # the embedding, the measurements, the thumbnail
    anew = run("anew.npz", clusters="3")
    with np.load(table) as first, np.load(anew) as second:
        for name in first.files:
            if name != "metadata":
                np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        assert set(FOUND) <= set(first.files)
        assert first["duplicate_group"].max() >= 1
    pages = [path.with_suffix(".html").read_text() for path in (table, anew)]
    assert _pictures_of(pages[0], table) == _pictures_of(pages[1], anew)
    assert pages[0].encode() != page_before
    for suffix in (".duplicates.csv",):
        assert table.with_suffix(suffix).read_bytes() == anew.with_suffix(suffix).read_bytes()


def _pictures_of(page, table):
    """The thumbnails of a page, in it or beside it."""
    beside = sorted(thumbnails.thumbnails_folder(table.with_suffix(".html")).glob("*.jpg"))
    return re.findall(r"data:image/jpeg;base64,[\w+/=]+", page) + [x.read_bytes() for x in beside]


@pytest.mark.parametrize(
    "spoil",
    ["other versions", "corrupt", "gone", "other columns", "not a number", "fewer thumbnails"],
)
def test_what_was_kept_is_done_without_where_it_cannot_be_trusted(
    embed, photos, decoded, monkeypatch, spoil
):
    before = embed()
    path = kept_pictures.kept_path(before.path)
    if spoil == "other versions":
        monkeypatch.setattr(kept_pictures, "FORM", 2)
    elif spoil == "corrupt":
        path.write_bytes(path.read_bytes()[:200])
    elif spoil == "gone":
        path.unlink()
    else:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        forged = {
            "other columns": {"sharpness": np.zeros(2)},
            "not a number": {"sharpness": arrays["sharpness"] * np.nan},
            "fewer thumbnails": {"ends": arrays["ends"][:-1]},
        }[spoil]
        with open(path, "wb") as file:
            np.savez(file, **arrays | forged)
    decoded.clear()
    embed(update=True)
    assert len([name for name in decoded if isinstance(name, str)]) == 7 * 2  # measured, and shown
    decoded.clear()
    embed(update=True)
    assert not any(isinstance(name, str) for name in decoded)


def test_thumbnails_outlast_an_update_without_a_page(embed, photos, decoded):
    embed()
    write_images(photos, ["new.png"])
    embed(update=True, page="none")
    decoded.clear()
    embed(update=True)
    shown = [os.path.basename(name) for name in decoded if isinstance(name, str)]
    assert shown == ["new.png"]


def test_a_disk_that_is_full_by_then_costs_time_alone(embed, photos, monkeypatch, caplog):
    def fail(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_pictures, "replace_by", fail)
    assert len(embed()) == 7
    assert "table.pictures.npz cannot be written" in caplog.text
