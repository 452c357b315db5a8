"""What TensorBoard gets: files of the projector, pictures by round, hyperparameters."""

import io
import json
import os
import time
import types
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins import projector

from and_tf.report.tensorboard import experiment_flags, gallery_picture, write_tensorboard


def arrays(count=12, dim=5, side=8):
    rng = np.random.default_rng(0)
    return {
        "embeddings": rng.normal(size=(count, dim)).astype("float32"),
        "images": rng.integers(0, 256, (count, side, side, 3)).astype("uint8"),
        "labels": np.arange(count) % 3 - 1,  # -1, 0, 1
        "names": [f"folder/{i}.png" for i in range(count)],
        "class_names": ["cat", "dog"],
        "galleries": {
            r: rng.integers(0, 256, (2, 3, side, side, 3)).astype("uint8") for r in (0, 1)
        },
        "is_wrong": {1: np.array([[False, True, False], [False, False, True]])},
        "experiment": {"learning_rate": 0.03, "encoder": "resnet_small", "flip": False},
        "metrics": {"knn_top1": 61.5},
    }


def summaries(folder):
    """(tag, step) of every value in the event files of a folder."""
    found = []
    for path in sorted(folder.glob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(value.tag, event.step) for value in event.summary.value]
    return found


def test_the_projector_config_names_files_that_fit_each_other(tmp_path):
    given = arrays()
    write_tensorboard(tmp_path / "tensorboard" / "report", **given)
    folder = tmp_path / "tensorboard" / "report"
    config = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), projector.ProjectorConfig()
    )
    points = config.embeddings[0]
    rows = np.loadtxt(folder / points.tensor_path, delimiter="\t")
    np.testing.assert_allclose(rows, given["embeddings"], rtol=1e-4)
    header, *lines = (folder / points.metadata_path).read_text().splitlines()
    assert header == "label\tname"
    assert [line.split("\t") for line in lines[:3]] == [
        ["none", "folder/0.png"],
        ["cat", "folder/1.png"],
        ["dog", "folder/2.png"],
    ]
    side, _ = points.sprite.single_image_dim
    assert Image.open(folder / points.sprite.image_path).size == (4 * side, 4 * side)


def test_thumbnails_stand_row_by_row_in_the_order_of_the_points(tmp_path):
    given = arrays(count=5)
    given["images"] = np.stack([np.full((8, 8, 3), 40 * i, "uint8") for i in range(5)])
    write_tensorboard(tmp_path / "logs" / "report", **given)
    sprite = np.asarray(Image.open(tmp_path / "logs" / "report" / "sprite.png"))
    side = len(sprite) // 3
    found = [sprite[i // 3 * side + 1, i % 3 * side + 1, 0] for i in range(5)]
    assert found == [0, 40, 80, 120, 160]


def test_of_many_points_the_same_sample_is_taken_everywhere(tmp_path):
    given = arrays(count=40)
    given["embeddings"][:, 0] = np.arange(40)
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **given, max_points=10, seed=3)
    rows = np.loadtxt(folder / "embeddings.tsv", delimiter="\t")[:, 0]
    names = [line.split("\t")[1] for line in (folder / "metadata.tsv").read_text().splitlines()]
    assert names[1:] == [f"folder/{int(row)}.png" for row in rows]
    assert len(set(rows)) == 10


def test_a_second_report_replaces_the_first_and_leaves_the_runs_events_alone(tmp_path):
    logdir = tmp_path / "tensorboard"
    logdir.mkdir()
    (logdir / "events.out.tfevents.1.run").write_bytes(b"the run's own")
    for _ in range(2):
        write_tensorboard(logdir / "report", **arrays())
    assert (logdir / "events.out.tfevents.1.run").read_bytes() == b"the run's own"
    assert len(list((logdir / "report").glob("events.*"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tensorboard"]
    found = summaries(logdir / "report")
    assert sorted(pair for pair in found if pair[0] == "neighbours") == [
        ("neighbours", 0),
        ("neighbours", 1),
    ]
    assert ("knn_top1", 0) in found


def test_without_labels_names_and_pictures_it_still_writes(tmp_path):
    given = {name: arrays()[name] for name in ("embeddings", "images")}
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **given)
    assert (folder / "metadata.tsv").read_text().splitlines()[1:3] == ["none\t0", "none\t1"]


def test_a_name_with_tabs_and_line_ends_stays_in_its_cell(tmp_path):
    given = arrays(count=3) | {"names": ["a\tb\nc", "ü", "\udcff"]}
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **given)
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[1] for line in lines[1:]] == ["a b c", "ü", "?"]


@pytest.mark.parametrize("missing", ["images", "labels", "names"])
def test_arrays_that_do_not_fit_are_refused_and_an_older_report_stays(tmp_path, missing):
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **arrays())
    before = (folder / "metadata.tsv").read_text()
    with pytest.raises(ValueError, match=f"12 embeddings and 11 {missing}"):
        write_tensorboard(folder, **arrays() | {missing: arrays()[missing][:11]})
    assert (folder / "metadata.tsv").read_text() == before


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    folder = tmp_path / "logs" / "report"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other files"):
        write_tensorboard(folder, **arrays())
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_fault_leaves_the_older_report_and_nothing_else(tmp_path, monkeypatch):
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **arrays())
    before = (folder / "metadata.tsv").read_text()
    replace = os.replace

    def fails(source, target):
        if str(source).endswith(".partial"):
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_tensorboard(folder, **arrays(count=5))
    assert (folder / "metadata.tsv").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_what_a_kill_has_left_is_cleared_away(tmp_path):
    folder = tmp_path / "logs" / "report"
    write_tensorboard(folder, **arrays())
    (tmp_path / ".report.999999999.partial").mkdir()
    os.replace(folder, tmp_path / ".report.999999999.old")
    with pytest.raises(ZeroDivisionError):  # the next one is cut short too
        write_tensorboard(folder, **arrays() | {"metrics": _Broken()})
    assert len((folder / "metadata.tsv").read_text().splitlines()) == 13
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


class _Broken(dict):
    def __bool__(self):
        raise ZeroDivisionError


def test_wrong_neighbours_alone_are_framed_in_red():
    tiles = np.zeros((1, 2, 8, 8, 3), "uint8")
    picture = np.asarray(gallery_picture(tiles, np.array([[False, True]])))
    width = (picture.shape[1] - 2) // 2
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[0, width + 2].tolist() == [213, 0, 0]
    assert picture[width // 2, width // 2].tolist() == [0, 0, 0]


def test_experiment_flags_leave_out_what_does_not_change_the_result():
    options = types.SimpleNamespace(
        name="a", workdir="runs/a", eval_split="", labels=None, seed=0, flip=False, encoder="x"
    )
    assert experiment_flags(options) == {"seed": 0, "flip": False, "encoder": "x"}


@pytest.mark.system
def test_tensorboard_serves_the_projector_the_pictures_and_the_hyperparameters(
    tmp_path, serve_tensorboard
):
    logdir = tmp_path / "tensorboard"
    with tf.summary.create_file_writer(str(logdir)).as_default(step=1):
        tf.summary.scalar("loss", 1.0)
    write_tensorboard(logdir / "report", **arrays())
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
    np.testing.assert_allclose(tensor.reshape(12, 5), arrays()["embeddings"], rtol=1e-4)
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
