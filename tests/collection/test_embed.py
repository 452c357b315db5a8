"""A folder embedded from Python: what is refused before hours of work, and what is written."""

import shutil

import keras
import numpy as np
import pytest
from helpers.encoder_runs import make_encoder_run
from helpers.pictures import pixels, write_images
from PIL import Image

from and_tf import encoders
from and_tf.collection import embed as embedding_of_folders
from and_tf.collection.embed import embed_folder, embed_images
from and_tf.collection.encoder import open_encoder
from and_tf.collection.settings import embed_settings
from and_tf.data.sources.source import array_source
from and_tf.errors import BrokenFile, BrokenImage, NotFound, UserError
from and_tf.export import export_encoder

pytestmark = pytest.mark.usefixtures("thin_resnet")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    encoder = encoders.build_encoder("resnet_small", (8, 8, 3), embedding_dim=4)
    return str(export_encoder(encoder, tmp_path_factory.mktemp("model") / "m.keras", "keras"))


@pytest.fixture
def settings(model, tmp_path):
    write_images(tmp_path / "photos", ["a.png", "b.png", "c/d.png"])
    (tmp_path / "photos" / "copy.png").write_bytes((tmp_path / "photos" / "b.png").read_bytes())
    return {
        "model": model, "images": str(tmp_path / "photos"), "output": str(tmp_path / "table.npz")
    }  # fmt: skip


def embed(settings, **changes):
    """`embed_folder` with some of the settings changed."""
    return embed_folder(embed_settings(settings | changes))


def test_table_duplicates_and_gallery_are_written(settings, tmp_path, capsys):
    gallery = tmp_path / "near.png"
    table = embed(settings, neighbours=2, clusters=2, gallery=str(gallery))
    assert table == tmp_path / "table.npz"
    with np.load(tmp_path / "table.npz") as table:
        assert table["path"].tolist() == ["a.png", "b.png", "c/d.png", "copy.png"]
        assert table["embedding"].shape == (4, 4) and table["cluster"].shape == (4,)
        assert table["neighbours"][1, 0] == 3 and table["neighbours"][3, 0] == 1
        assert table["similarity"].max() <= 1
    lines = (tmp_path / "table.duplicates.csv").read_text().splitlines()
    assert lines[1].startswith("0,b.png,yes,identical,1.0000,8,8,")
    assert lines[2].startswith("0,copy.png,no,identical,1.0000,8,8,")
    assert Image.open(gallery).height > Image.open(gallery).width / 2
    printed = capsys.readouterr().out
    assert "4 images, 4 values each" in printed
    assert "1 group, 1 image more than needed" in printed
    assert "keep b.png, not copy.png (identical)" in printed


def test_chosen_clusters_are_explained_pictured_and_copied(settings, tmp_path, capsys):
    write_images(tmp_path / "photos", [f"more/{i}.png" for i in range(16)])
    table = embed(settings, clusters="auto", copy_clusters_to=str(tmp_path / "out"))
    with np.load(table) as columns:
        numbers, paths = columns["cluster"], columns["path"]
    printed = capsys.readouterr().out
    assert "silhouette  stability" in printed and "clusters" in printed
    lines = (tmp_path / "table.clusters.csv").read_text().splitlines()
    chosen = [line.split(",")[0] for line in lines if line.endswith(",1")]
    assert len(chosen) == 1 and f"{chosen[0]} " in printed
    sheets = sorted(path.name for path in (tmp_path / "table.clusters").iterdir())
    assert sheets == [
        ".nomedia", *(f"cluster_{number:03}.png" for number in range(numbers.max() + 1))
    ]  # fmt: skip
    for path, number in zip(paths, numbers, strict=True):
        copy = tmp_path / "out" / f"cluster_{number:03}" / path.split("/")[-1]
        assert copy.read_bytes() == (tmp_path / "photos" / path).read_bytes()


def test_what_a_command_wrote_among_the_photos_is_not_embedded_by_the_next(settings, tmp_path):
    photos = tmp_path / "photos"
    places = {"output": str(photos / "t.npz"), "gallery": str(photos / "near.png")}
    for _ in range(2):
        embed(settings, neighbours=2, clusters=2, **places)
        with np.load(photos / "t.npz") as table:
            assert table["path"].tolist() == ["a.png", "b.png", "c/d.png", "copy.png"]


def test_a_gallery_never_replaces_a_photo(settings, tmp_path):
    photo = tmp_path / "photos" / "a.png"
    before = photo.read_bytes()
    with pytest.raises(UserError, match=r"a\.png' is an image in .* give another name"):
        embed(settings, gallery=str(photo))
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    with pytest.raises(UserError, match="is an image in"):
        embed(settings, gallery=str(tmp_path / "link" / "a.png"))
    assert photo.read_bytes() == before and not (tmp_path / "table.npz").exists()


def test_after_a_move_the_way_to_a_new_table_is_logged(settings, tmp_path, caplog):
    moved = {"move_duplicates_to": str(tmp_path / "moved")}
    with caplog.at_level("INFO"):
        embed(settings, **moved, dry_run=True)
        assert "up to date" not in caplog.text
        embed(settings, **moved)
    assert "still hold them: the same command with update=True" in caplog.text
    with np.load(embed(settings, **moved, update=True)) as table:
        assert table["path"].tolist() == ["a.png", "b.png", "c/d.png"]


def test_copies_of_other_clusters_are_refused_before_the_images_are_embedded(
    settings, tmp_path, monkeypatch
):
    copies = {"copy_clusters_to": str(tmp_path / "out")}
    embed(settings, clusters=2, **copies)
    embed(settings, clusters=2, **copies)  # the same once more
    monkeypatch.setattr("and_tf.collection.embed.open_encoder", None)
    with pytest.raises(UserError, match="holds copies of other clusters"):
        embed(settings, clusters=1, **copies)
    write_images(tmp_path / "photos", ["new.png"])
    with pytest.raises(UserError, match="holds copies of other clusters"):
        embed(settings, clusters=2, **copies)


@pytest.mark.parametrize(
    ("place", "words"),
    [("table.clusters", "is replaced by the pictures of the clusters"),
     ("table.clusters/copies", "is replaced by the pictures of the clusters"),
     ("photos/out", "so the copies would join the images"),
     ("full", "files that are not copies of clusters"),
     ("full/mine.txt/out", "is below the file")],
)  # fmt: skip
@pytest.mark.parametrize("clusters", ["auto", "2"])
def test_a_place_that_does_not_fit_is_refused_before_the_images_are_read(
    settings, tmp_path, monkeypatch, clusters, place, words
):
    monkeypatch.setattr("and_tf.collection.embed._open_images", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(UserError, match=words):
        embed(settings, clusters=clusters, copy_clusters_to=str(tmp_path / place))


def test_copies_of_more_clusters_than_auto_compares_are_refused_before_embedding(
    settings, tmp_path, monkeypatch
):
    write_images(tmp_path / "photos", [f"{number}.png" for number in range(12)])
    copies = {"copy_clusters_to": str(tmp_path / "out")}
    embed(settings, clusters="auto", **copies)
    embed(settings, clusters="auto", **copies)  # the same once more
    shutil.rmtree(tmp_path / "out")
    embed(settings, clusters=8, **copies)
    monkeypatch.setattr("and_tf.collection.embed.open_encoder", None)
    with pytest.raises(UserError, match="holds copies of other clusters"):
        embed(settings, clusters="auto", **copies)


def test_an_update_of_what_is_no_file_says_that_all_is_embedded(settings, caplog):
    found = embed_settings(settings | {"update": True})
    collection = embed_images(found, array_source(pixels(3)))
    assert len(collection) == 3 and "update=True has no effect" in caplog.text


def test_a_single_image_has_a_table_and_no_neighbours(settings, tmp_path):
    write_images(tmp_path / "one", ["a.png"])
    embed(settings, images=str(tmp_path / "one"))
    with np.load(tmp_path / "table.npz") as table:
        assert table["path"].tolist() == ["a.png"]


def test_a_home_folder_is_found_in_every_path(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    embed(settings, images="~/photos", output="~/home.npz", gallery="~/near.png")
    assert (tmp_path / "home.npz").is_file() and (tmp_path / "near.png").is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [({"neighbours": 4}, "neighbours=4 must be smaller than .* 4 in"),
     ({"clusters": "5"}, "clusters=5 exceeds .* 4 in"),
     ({"clusters": "auto"}, "clusters='auto' needs at least 10 images.* 4: give a number"),
     ({"clusters": "many"}, "clusters='many' must be a whole number of clusters, auto, or 0"),
     ({"clusters": "-1"}, "clusters='-1' must be a whole number"),
     ({"clusters": "9" * 5000}, "at most 9 digits"),
     ({"copy_clusters_to": "out"}, "copy_clusters_to='out' needs clusters"),
     ({"clusters": "2", "link_clusters": True}, "link_clusters=True makes links in a folder"),
     ({"gallery": "near.jpg"}, "gallery='near.jpg' must end in .png"),
     ({"output": "table.csv"}, "must end in .parquet or .npz"),
     ({"checkpoint": "best"}, "checkpoint='best' is for runs, and .* is not one")],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_nothing_is_written(settings, tmp_path, change, words):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        embed(settings, **change)
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_folders_for_what_is_written_are_made(settings, tmp_path):
    table, gallery = tmp_path / "not" / "yet" / "a.npz", tmp_path / "nor" / "this" / "near.png"
    embed(settings, output=str(table), gallery=str(gallery))
    assert table.is_file() and gallery.is_file()


def test_a_model_without_finite_embeddings_is_named_and_no_table_written(settings, model, tmp_path):
    encoder = keras.saving.load_model(model, compile=False)
    encoder.set_weights([np.full_like(weight, np.nan) for weight in encoder.get_weights()])
    encoder.save(tmp_path / "nan.keras")
    with pytest.raises(BrokenFile, match=rf"{tmp_path}/nan\.keras gives NaN embeddings"):
        embed(settings, model=str(tmp_path / "nan.keras"))
    assert not (tmp_path / "table.npz").exists()


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"none\.keras does not exist"):
        open_encoder(str(tmp_path / "none.keras"))


def test_the_encoder_of_a_run_is_opened_in_the_state_that_is_asked_for(tmp_path):
    encoders = make_encoder_run(tmp_path / "run")
    images = pixels(3)
    for state, encoder in encoders.items():
        found = open_encoder(str(tmp_path / "run"), state, "fc")(images)
        np.testing.assert_allclose(found, encoder.predict(images, verbose=0), atol=1e-5)


def test_broken_images_are_left_out_named_once_and_listed(settings, tmp_path, caplog, capsys):
    (tmp_path / "photos" / "c" / "broken.jpg").write_bytes(b"")
    whole = (tmp_path / "photos" / "a.png").read_bytes()
    (tmp_path / "photos" / "cut.png").write_bytes(whole[:-60])  # its header is valid
    for _ in range(2):
        table = embed(settings)
    with np.load(table) as columns:
        assert columns["path"].tolist() == ["a.png", "b.png", "c/d.png", "copy.png"]
    warnings = [r.getMessage() for r in caplog.records if "skipped 2" in r.getMessage()]
    assert len(warnings) == 1 and "c/broken.jpg, cut.png" in warnings[0]
    printed = capsys.readouterr().out
    assert "Left out: 2 files that cannot be read\n  c/broken.jpg (empty file)" in printed
    page = table.with_suffix(".html").read_text()
    assert "Files that cannot be read" in page and "c/broken.jpg: empty file" in page


def test_broken_images_are_refused_where_that_is_asked_before_any_training(
    settings, tmp_path, monkeypatch
):
    whole = (tmp_path / "photos" / "a.png").read_bytes()
    (tmp_path / "photos" / "cut.png").write_bytes(whole[:-60])
    monkeypatch.setattr(embedding_of_folders, "choose_model", None)  # is not reached
    with pytest.raises(BrokenImage, match=r"cut\.png"):
        embed(settings, skip_broken=False)


def test_the_table_has_ten_neighbours_or_all_of_fewer_unless_told(settings, tmp_path):
    with np.load(embed(settings)) as table:
        assert table["neighbours"].shape == (4, 3)
    with np.load(embed(settings, neighbours=0)) as table:
        assert "neighbours" not in table
    write_images(tmp_path / "photos", [f"more/{i}.png" for i in range(12)])
    with np.load(embed(settings)) as table:
        assert table["neighbours"].shape == (16, 10)


def test_a_dry_run_writes_nothing_and_a_move_advises_an_update(settings, tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    embed(settings, neighbours=2, clusters=2)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    target = {"move_duplicates_to": str(tmp_path / "spare")}
    embed(settings, dry_run=True, **target)
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "1 image would be moved" in capsys.readouterr().out and "update" not in caplog.text
    embed(settings, **target)
    assert (tmp_path / "spare" / "copy.png").is_file() and "update=True" in caplog.text


def test_the_most_remarkable_photos_are_named_and_the_others_counted(settings, tmp_path, capsys):
    for side in (40, 30, 20):
        write_images(tmp_path / "small", [f"{side}.png"], side=side)
    embed(settings, images=str(tmp_path / "small"))
    assert "  tiny: 20.png, 30.png and 1 more" in capsys.readouterr().out
