"""What TensorBoard gets: files of the projector, pictures by round, hyperparameters."""

import errno
import io
import json
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from and_tf.errors import UserError
from and_tf.report.tensorboard.gallery import gallery_picture
from and_tf.report.tensorboard.projector import Points
from and_tf.report.tensorboard.writer import write_tensorboard


def points(count=12, dim=5, side=8, **changed):
    rng = np.random.default_rng(0)
    values = {
        "embeddings": rng.normal(size=(count, dim)).astype("float32"),
        "images": rng.integers(0, 256, (count, side, side, 3)).astype("uint8"),
        "names": [f"folder/{i}.png" for i in range(count)],
        "class_names": [("", "cat", "dog")[i % 3] for i in range(count)],
    }
    return Points(**values | changed)


def arrays(side=8):
    rng = np.random.default_rng(0)
    return {
        "galleries": {
            r: rng.integers(0, 256, (2, 3, side, side, 3)).astype("uint8") for r in (0, 1)
        },
        "is_wrong": {1: np.array([[False, True, False], [False, False, True]])},
        "experiment": {"learning_rate": 0.03, "encoder": "resnet_small", "flip": False},
        "metrics": {"knn_top1": 61.5},
    }


@pytest.fixture
def folder(tmp_path):
    """Where a report lies in a run's folder."""
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "report"


def summaries(folder):
    """(tag, step) of every value in the event files of a folder."""
    found = []
    for path in sorted(folder.glob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(value.tag, event.step) for value in event.summary.value]
    return found


def test_the_projector_config_names_files_that_fit_each_other(folder):
    write_tensorboard(folder, points(), **arrays())
    config = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), projector.ProjectorConfig()
    )
    entry = config.embeddings[0]
    rows = np.loadtxt(folder / entry.tensor_path, delimiter="\t")
    np.testing.assert_allclose(rows, points().embeddings, rtol=1e-4)
    header, *lines = (folder / entry.metadata_path).read_text().splitlines()
    assert header == "label\tname"
    assert [line.split("\t") for line in lines[:3]] == [
        ["none", "folder/0.png"],
        ["cat", "folder/1.png"],
        ["dog", "folder/2.png"],
    ]
    side, _ = entry.sprite.single_image_dim
    assert Image.open(folder / entry.sprite.image_path).size == (4 * side, 4 * side)


def test_thumbnails_stand_row_by_row_in_the_order_of_the_points(folder):
    images = np.stack([np.full((8, 8, 3), 40 * i, "uint8") for i in range(5)])
    write_tensorboard(folder, points(count=5, images=images), **arrays())
    sprite = np.asarray(Image.open(folder / "sprite.png"))
    side = len(sprite) // 3
    found = [sprite[i // 3 * side + 1, i % 3 * side + 1, 0] for i in range(5)]
    assert found == [0, 40, 80, 120, 160]


def test_a_second_report_replaces_the_first_and_leaves_the_runs_events_alone(folder):
    logdir = folder.parent
    (logdir / "events.out.tfevents.1.run").write_bytes(b"the run's own")
    for _ in range(2):
        write_tensorboard(folder, points(), **arrays())
    assert (logdir / "events.out.tfevents.1.run").read_bytes() == b"the run's own"
    assert len(list(folder.glob("events.*"))) == 1
    assert {path.name for path in logdir.iterdir()} == {"events.out.tfevents.1.run", "report"}
    found = summaries(folder)
    assert sorted(pair for pair in found if pair[0] == "neighbours") == [
        ("neighbours", 0),
        ("neighbours", 1),
    ]
    assert ("knn_top1", 0) in found


def test_without_pictures_and_metrics_it_still_writes(folder):
    write_tensorboard(folder, points(count=2, class_names=["", ""]))
    assert (folder / "metadata.tsv").read_text().splitlines()[1] == "none\tfolder/0.png"


def test_a_name_with_tabs_and_line_ends_stays_in_its_cell(folder):
    write_tensorboard(folder, points(count=3, names=["a\tb\nc", "ü", "\udcff"]))
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == ["a b c", "ü", "?"]


def test_a_folder_of_other_files_is_not_replaced(folder):
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="holds files other than a report's"):
        write_tensorboard(folder, points())
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_hidden_files_of_the_system_are_no_other_files(folder):
    folder.mkdir()
    (folder / ".DS_Store").write_text("stray")
    write_tensorboard(folder, points())
    assert (folder / "metadata.tsv").is_file()


def test_a_fault_leaves_the_older_report_and_nothing_else(folder):
    write_tensorboard(folder, points(), **arrays())
    before = (folder / "metadata.tsv").read_text()
    with pytest.raises(ValueError):
        write_tensorboard(folder, points(count=5), galleries={0: np.zeros((1, 2, 8))})
    assert (folder / "metadata.tsv").read_text() == before
    assert [path.name for path in folder.parent.iterdir()] == ["report"]


def test_neighbours_of_another_class_alone_are_framed_in_red():
    tiles = np.zeros((1, 2, 8, 8, 3), "uint8")
    picture = np.asarray(gallery_picture(tiles, np.array([[False, True]])))
    width = (picture.shape[1] - 2) // 2
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[0, width + 2].tolist() == [213, 0, 0]
    assert picture[width // 2, width // 2].tolist() == [0, 0, 0]


@pytest.mark.system
def test_tensorboard_serves_the_projector_the_pictures_and_the_hyperparameters(
    tmp_path, serve_tensorboard
):
    logdir = tmp_path / "tensorboard"
    with tf.summary.create_file_writer(str(logdir)).as_default(step=1):
        tf.summary.scalar("loss", 1.0)
    write_tensorboard(logdir / "report", points(), **arrays())
    address = serve_tensorboard(logdir)

    def get(path, **query):
        query = urllib.parse.urlencode(query)
        with urllib.request.urlopen(f"{address}{path}?{query}", timeout=30) as answer:
            return answer.read()

    def when(holds, path):  # TensorBoard reads events and looks for projectors in the background
        end = time.monotonic() + 60
        while not holds(found := json.loads(get(path))):
            assert time.monotonic() < end, f"{path}: {found}"
            time.sleep(0.5)
        return found

    assert when(bool, "/data/plugin/projector/runs") == ["report"]
    info = json.loads(get("/data/plugin/projector/info", run="report"))
    assert info["embeddings"][0]["tensorShape"] == [12, 5]
    chosen = {"run": "report", "name": "embeddings"}
    tensor = np.frombuffer(get("/data/plugin/projector/tensor", **chosen), "float32")
    np.testing.assert_allclose(tensor.reshape(12, 5), points().embeddings, rtol=1e-4)
    metadata = get("/data/plugin/projector/metadata", **chosen).decode().splitlines()
    assert metadata[2] == "cat\tfolder/1.png" and len(metadata) == 13
    sprite = get("/data/plugin/projector/sprite_image", **chosen)
    assert Image.open(io.BytesIO(sprite)).size[0] % 4 == 0

    tags = when(bool, "/data/plugin/images/tags")
    assert list(tags["report"]) == ["neighbours"]
    pictures = json.loads(
        get("/data/plugin/images/images", run="report", tag="neighbours", sample=0)
    )
    assert [picture["step"] for picture in pictures] == [0, 1]
    assert "loss" in when(lambda tags: "." in tags, "/data/plugin/scalars/tags")["."]

    shown = {"projector", "images", "hparams", "scalars"}
    when(lambda p: all(p[name]["enabled"] for name in shown), "/data/plugins_listing")
    request = urllib.request.Request(
        f"{address}/data/plugin/hparams/session_groups",
        data=json.dumps(
            {
                "experimentName": "",
                "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_RUNNING", "STATUS_SUCCESS"],
                "colParams": [{"metric": {"group": "", "tag": "knn_top1"}}],
                "startIndex": 0,
                "sliceSize": 10,
            }
        ).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        (group,) = json.load(answer)["sessionGroups"]
    assert group["hparams"]["learning_rate"] == 0.03
    assert group["hparams"]["encoder"] == "resnet_small"
    assert group["sessions"][0]["metricValues"][0]["value"] == pytest.approx(61.5)


@pytest.mark.parametrize("place", ["scalar", "projector"])
def test_a_full_disk_is_an_error_of_the_system_and_leaves_the_older_folder(
    tmp_path, monkeypatch, place
):
    def refuse(*others, **more):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    write_tensorboard(tmp_path / "report", points(), **arrays())
    before = sorted(path.name for path in (tmp_path / "report").iterdir())
    owner = tf.summary if place == "scalar" else projector
    monkeypatch.setattr(owner, "scalar" if place == "scalar" else "visualize_embeddings", refuse)
    with pytest.raises(OSError) as error:
        write_tensorboard(tmp_path / "report", points(), metrics={"knn_top1": 1.0})
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "report"))
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == before
