"""Split-Brain as a user runs it: trained, stopped and continued, evaluated, reported, embedded."""

import keras
import numpy as np
import pytest
from helpers import programs
from helpers.html_reader import Reader
from helpers.small_runs import skip_exports
from helpers.stops import stop_after
from PIL import Image

from and_tf import load_encoder
from and_tf.encoders import layer_names
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir

pytestmark = pytest.mark.usefixtures("thin_resnet", "keras_exports")

TINY = [
    "--method=split_brain", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8",
    "--rounds=0", "--epochs_per_round=2", "--batch_size=32", "--color_jitter=0", "--grey=0",
    "--seed=5", "--deterministic",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of three hues, which also differ in lightness."""
    path = tmp_path_factory.mktemp("data") / "hues.npz"
    rng, hues = np.random.default_rng(0), np.array([[220, 60, 40], [40, 160, 50], [30, 40, 120]])
    arrays = {}
    for split, count in (("train", 96), ("test", 24)):
        labels = np.arange(count) % 3
        images = hues[labels][:, None, None] + rng.integers(-30, 30, (count, 16, 16, 3))
        arrays |= {f"x_{split}": np.clip(images, 0, 255).astype("uint8"), f"y_{split}": labels}
    np.savez(path, **arrays)
    return f"--data=npz:{path}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    run = Workdir(tmp_path_factory.mktemp("runs") / "split")
    assert programs.train([*TINY, data, f"--workdir={run.path}"]) == 0
    return run


def test_a_run_that_was_stopped_continues_to_the_same_arrays(finished, data, tmp_path, monkeypatch):
    run = Workdir(tmp_path / "run")
    skip_exports(monkeypatch)
    with stop_after(2):
        assert programs.train([*TINY, data, f"--workdir={run.path}", "--checkpoint_steps=2"]) == 0
    assert checkpoint.load(run.checkpoint)[1]["step"] == 2 and not run.summary.exists()
    assert programs.train([*TINY, data, f"--workdir={run.path}"]) == 0
    (ours, _), (theirs, _) = (checkpoint.load(each.checkpoint) for each in (run, finished))
    assert ours.keys() == theirs.keys() and any(name.startswith("heads/") for name in theirs)
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_every_layer_is_evaluated(finished):
    folder = f"--workdir={finished.path}"
    for classifier in ("knn", "linear"):
        assert programs.evaluate([folder, f"--classifier={classifier}", "--layer=all"]) == 0
    texts = [path.read_text() for path in finished.evaluations.glob("*.json")]
    for layer in ("stem", "stage1", "stage2", "stage3", "stage4", "fc"):
        assert sum(f'"{layer}"' in text for text in texts) == 2


def test_the_report_shows_rebuilt_images(finished):
    assert programs.report([f"--workdir={finished.path}"]) == 0
    page = Reader((finished.path / "report.html").read_text(encoding="utf-8"))
    assert "rebuilt" in {attributes["id"] for attributes in page.all("h2")}
    texts = [image["alt"] for image in page.all("img") if "both predicted" in image.get("alt", "")]
    assert len(texts) == 8


def test_what_is_exported_holds_no_head_and_needs_nothing_of_this_package(finished, tmp_path):
    encoder = load_encoder(finished.path)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    path = tmp_path / "encoder.keras"
    folder = f"--workdir={finished.path}"
    assert programs.export([folder, "--format=keras", "--layer=fc", f"--output={path}"]) == 0
    loaded = keras.saving.load_model(path, custom_objects={}, compile=False)
    assert not any("predict" in layer.name for layer in loaded.layers)
    assert not any("and_tf" in type(layer).__module__ for layer in loaded.layers)
    assert layer_names(loaded) == ["stem", "stage1", "stage2", "stage3", "stage4", "fc"]
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), encoder.predict(images, verbose=0), atol=1e-6
    )
    exported = keras.saving.load_model(finished.exports / "encoder.keras", compile=False)
    assert exported(images).shape == (3, 512)  # stage4 at 2 x 2 places, as of every encoder


def test_it_embeds_a_folder(finished, tmp_path):
    photos, table = tmp_path / "photos", tmp_path / "table.npz"
    photos.mkdir()
    for number in range(12):
        color = (20 * number, 255 - 20 * number, 90)
        Image.new("RGB", (20, 24), color).save(photos / f"{number}.png")
    where = [f"--images={photos}", f"--output={table}"]
    assert programs.embed([f"--model={finished.path}", *where]) == 0
    with np.load(table, allow_pickle=False) as columns:
        rows = columns["embedding"]
    assert len(rows) == 12 and len(np.unique(rows, axis=0)) == 12


def test_an_odd_embedding_dim_is_refused_by_its_flag(data, tmp_path, capsys):
    odd = [*TINY, data, "--embedding_dim=7", f"--workdir={tmp_path / 'odd'}"]
    assert programs.train(odd) == 2
    assert "--embedding_dim=7 must be even" in capsys.readouterr().err
