"""`embed` and `neighbours`: the two calls that most users need."""

import keras
import numpy as np
import pytest
from helpers.encoder_runs import make_encoder_run
from PIL import Image

import and_tf
from and_tf.encoders import build_encoder, pooled_features
from and_tf.errors import NotFound, UserError

pytestmark = pytest.mark.usefixtures("thin_resnet")

SIDE = 16


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("resnet_small", (SIDE, SIDE, 3), embedding_dim=8, seed=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five photos of any sizes below a folder, one of them in a sub-folder."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "sub").mkdir()
    rng = np.random.default_rng(0)
    for name, shape in zip(
        ["a.png", "b.png", "c.png", "d.png", "sub/e.png"],
        [(16, 16), (40, 30), (17, 90), (16, 20), (64, 64)],
        strict=True,
    ):
        Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)).save(folder / name)
    return folder


def pixels(photos, names):
    return [np.asarray(Image.open(photos / name)) for name in names]


def expected(encoder, photos, names):
    source = and_tf.open_source(f"folder:{photos}", labels="none")
    rows = encoder.predict(source.load(range(5), SIDE), verbose=0)
    return rows[[source.names.index(name) for name in names]]


def test_folder_files_and_arrays_give_the_same_unit_rows(encoder, photos):
    names, embeddings = and_tf.embed(photos, encoder)
    assert sorted(names) == ["a.png", "b.png", "c.png", "d.png", "sub/e.png"]
    assert embeddings.dtype == np.float32 and embeddings.shape == (5, 8)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embeddings, expected(encoder, photos, names), atol=1e-5)
    files = and_tf.embed([photos / name for name in names], encoder, batch_size=2)
    assert files.names == [str(photos / name) for name in names]
    np.testing.assert_allclose(files.embeddings, embeddings, atol=1e-6)
    arrays = and_tf.embed(pixels(photos, names), encoder)
    assert isinstance(arrays, np.ndarray)
    np.testing.assert_allclose(arrays, embeddings, atol=1e-6)
    one = and_tf.embed(str(photos / names[1]), encoder)
    np.testing.assert_allclose(one, embeddings[[1]], atol=1e-6)


def test_arrays_of_one_size_may_be_larger_and_grey(encoder):
    images = np.random.default_rng(1).integers(0, 256, (3, 40, 50), np.uint8)
    grey = and_tf.embed(images, encoder)
    np.testing.assert_array_equal(grey, and_tf.embed(np.stack([images] * 3, axis=-1), encoder))


def test_every_kind_of_encoder_is_taken(encoder, photos, tmp_path):
    encoders = make_encoder_run(tmp_path / "run")
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    last = encoders["last"]
    last.save(tmp_path / "encoder.keras")
    own, auto = (m.predict(images, verbose=0) for m in (last, pooled_features(last)))
    exported = and_tf.export.load_exported(tmp_path / "encoder.keras")
    model = and_tf.AND(last, num_samples=9)
    for given, rows in [
        (last, own), (exported, own), (tmp_path / "encoder.keras", own), (model, own),
        (str(tmp_path / "run"), auto),
    ]:  # fmt: skip
        np.testing.assert_allclose(and_tf.embed(images, given), rows, atol=1e-5)
    for given in (last, tmp_path / "run", tmp_path / "encoder.keras"):
        found = and_tf.embed(images, given, layer="stage4")
        np.testing.assert_allclose(found, auto, atol=1e-5)


def test_a_network_of_other_outputs_gives_unit_rows():
    network = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Conv2D(4, 3)])
    images = np.random.default_rng(1).integers(0, 256, (3, 30, 20, 3), np.uint8)
    rows = and_tf.embed(images, network)
    assert rows.shape == (3, 4)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "images, message",
    [
        ([], "images is empty"),
        (np.zeros((2, 8, 8, 3), "float32"), r"must be uint8.*\(images \* 255\)"),
        (np.zeros((2, 8, 8, 4), "uint8"), r"must have the shape \(N, H, W\)"),
        (["nowhere.jpg"], r"nowhere\.jpg does not exist"),
        ("nowhere", "nowhere is not a directory"),
    ],
)
def test_images_that_are_none_are_named(encoder, images, message):
    with pytest.raises(UserError, match=message):
        and_tf.embed(images, encoder)


def test_what_is_no_encoder_is_named(encoder):
    images = np.zeros((2, 8, 8, 3), "uint8")
    free = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(UserError, match=r"\(None, None, 3\), but must take \(side, side, 3\)"):
        and_tf.embed(images, free)
    with pytest.raises(UserError, match=r"must be a keras\.Model. Received int"):
        and_tf.embed(images, 3)
    with pytest.raises(NotFound, match="nowhere"):
        and_tf.embed(images, "nowhere.keras")
    with pytest.raises(UserError, match="no layer 'stage9'"):
        and_tf.embed(images, encoder, layer="stage9")


def test_neighbours_are_the_nearest_others_nearest_first():
    rows = np.random.default_rng(0).normal(size=(30, 4))
    rows[7] = rows[3]  # an exact copy is a neighbour, the row itself is none
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    found = and_tf.neighbours(rows, k=5)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.cosines, np.take_along_axis(cosines, order, 1), atol=1e-6)
    assert found.indices[3, 0] == 7 and found.cosines.max() <= 1


def test_neighbours_take_what_embed_gives(encoder, photos):
    found = and_tf.embed(photos, encoder)
    np.testing.assert_array_equal(*(and_tf.neighbours(e, 2).indices for e in (found, found[1])))


@pytest.mark.parametrize(
    "rows, k, message",
    [
        (np.zeros((3, 2)), 3, "k=3 must be below the number of rows, 3"),
        (np.zeros(3), 1, r"shape \(N, D\)"),
        (np.full((3, 2), np.nan), 1, "NaN"),
    ],
)
def test_neighbours_that_cannot_be_found_are_refused(rows, k, message):
    with pytest.raises(UserError, match=message):
        and_tf.neighbours(rows, k)
