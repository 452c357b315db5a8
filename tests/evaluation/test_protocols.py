"""evaluate.py from its flags to its files, on a run of one epoch on scikit-learn's digits."""

import contextlib
import csv
import io
import json
import os
import shutil

import numpy as np
import pytest
from helpers import programs
from PIL import Image

from and_tf import encoders, load_encoder
from and_tf.data import open_source
from and_tf.data.sources.source import EncodedSource
from and_tf.evaluation import accuracy, extract, images, weighted_knn
from and_tf.evaluation import features as features_module

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("no_exports")]

LAYERS = ["stem", "stage1", "stage2", "stage3", "stage4", "fc"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = [
        "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=16",
        "--train_split=train[:200]", "--rounds=0", "--epochs_per_round=1", "--batch_size=100",
        "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", f"--workdir={folder}",
    ]  # fmt: skip
    assert programs.train(flags) == 0
    return folder


@pytest.fixture
def evaluate(run, capsys):
    """Runs evaluate.py and gives what it wrote and what it said."""

    def evaluate(*flags):
        capsys.readouterr()
        assert programs.evaluate([f"--workdir={run}", *flags]) == 0
        said = capsys.readouterr().out
        path = next(line for line in said.splitlines() if line.startswith("Written to "))
        with open(path.removeprefix("Written to ")) as file:
            return json.load(file), said

    return evaluate


@pytest.fixture
def refuse(run, capsys):
    """Runs evaluate.py, which must refuse in one line, warnings apart, and change no file."""

    def refuse(*flags, workdir=run):
        capsys.readouterr()
        before = files(workdir)
        try:
            status = programs.evaluate([f"--workdir={workdir}", *flags])
        except SystemExit as end:
            status = end.code
        lines = capsys.readouterr().err.strip().splitlines()
        lines = [line for line in lines if not line.startswith("Warning: ")]
        assert status == 2 and len(lines) == 1, lines
        assert files(workdir) == before
        return lines[0]

    return refuse


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def save_npz(path, side=8, labels=(0, 1, 2), test_labels=(0, 1, 2), each=4):
    """Random arrays, `each` images for every label."""
    draw = np.random.default_rng(0)
    arrays = {}
    for name, values in (("train", labels), ("test", test_labels)):
        count = each * len(values)
        arrays[f"x_{name}"] = draw.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        arrays[f"y_{name}"] = np.repeat(values, each)
    np.savez(path, **arrays)
    return f"npz:{path}"


def save_folder(root, classes, number=4):
    """A folder of small photos of several sizes, `number` in each class."""
    draw = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(number):
            pixels = draw.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def test_knn_accuracy_is_that_of_the_features(run, evaluate):
    report, _ = evaluate("--layer=conv2", "--k=5")
    train, test = open_source("digits", "train[:200]"), open_source("digits", "test")
    network = encoders.features(load_encoder(run), "stage1")
    rows, queries = (extract(network, source, 16, max_values=9000) for source in (train, test))
    scores = weighted_knn(rows, train.labels, queries, k=5)
    expected = accuracy(np.where(scores > 0, scores, -np.inf), test.labels)
    assert {name: report[name] for name in expected} == pytest.approx(expected, abs=0.3)
    assert report["layer"] == "stage1" and report["rows"][0]["values"] == rows.shape[1]
    assert "weighted kNN, K = 5, temperature 0.1, layer stage1" in report["protocol"]


def test_a_sweep_searches_once_and_is_not_called_fair(evaluate, monkeypatch):
    report, said = evaluate("--k=1,5,5000", "--knn_temperature=0.07,0.1")
    found = [(row["k"], row["temperature"]) for row in report["rows"]]
    assert found == [(1, 0.07), (1, 0.1), (5, 0.07), (5, 0.1), (200, 0.07), (200, 0.1)]
    assert report["rows"][0]["top1"] == report["rows"][1]["top1"]  # of a single neighbour
    assert "top1" not in report  # which one would it be?
    assert "not a fair result" in said and "K above 200" in said
    single, said = evaluate("--k=5")
    assert {**single["rows"][0]} == report["rows"][3] and single["top1"] == single["rows"][0][
        "top1"
    ]
    assert "fair" not in said


@pytest.mark.parametrize(
    "flags",
    [["--classifier=knn", "--k=1,5"], ["--classifier=linear"], ["--classifier=retrieval"],
     ["--classifier=clusters"]],
)  # fmt: skip
def test_all_layers_are_those_of_single_layers_from_one_pass(evaluate, monkeypatch, flags):
    passes = []

    def spy(*arguments, **settings):
        passes.append(arguments[1])
        return plain(*arguments, **settings)

    monkeypatch.setattr("and_tf.evaluation.run.extract_layers", spy)
    plain = features_module.extract_layers
    report, said = evaluate(*flags, "--layer=all", "--max_values=512")
    assert passes == [LAYERS] * (1 if "--classifier=clusters" in flags else 2)
    assert list(dict.fromkeys(row["layer"] for row in report["rows"])) == LAYERS
    line = next(line for line in said.splitlines() if "stem  " in line)
    assert line.split() == LAYERS
    single, _ = evaluate(*flags, "--layer=stage2", "--max_values=512")
    of_all = [row for row in report["rows"] if row["layer"] == "stage2"]
    for row, other in zip(single["rows"], of_all, strict=True):
        assert row == pytest.approx(other, abs=0.3)


def test_features_beyond_the_memory_give_the_same_results(evaluate, monkeypatch):
    whole, _ = evaluate("--layer=all", "--k=1,5")
    passes = features_module.extract_layers
    monkeypatch.setattr(
        "and_tf.evaluation.run.extract_layers",
        lambda *args, **settings: passes(*args, **settings | {"memory_mb": 0}),
    )
    small, _ = evaluate("--layer=all", "--k=1,5", "--memory_mb=64")
    for row, other in zip(whole["rows"], small["rows"], strict=True):
        assert row == pytest.approx(other, abs=0.3)


def test_tables_and_picture_stand_beside_the_results(run, evaluate):
    for flags in (["--k=20,1"], ["--classifier=nn"], ["--classifier=linear"]):
        report, _ = evaluate(*flags)
        per_class, confusion, picture = (run / "evaluations" / name for name in report["files"])
        assert per_class.name.endswith(".per_class.csv") and confusion.name.endswith(".csv")
        with open(per_class) as file:
            rows = list(csv.DictReader(file))
        assert [row["class"] for row in rows] == [str(i) for i in range(10)]
        images, correct = (sum(int(row[name]) for row in rows) for name in ("images", "correct"))
        assert images == 360
        assert 100 * correct / images == pytest.approx(report["rows"][0]["top1"], abs=1e-4)
        with Image.open(picture) as image:
            assert min(image.size) > 300


def test_tables_of_all_layers_carry_their_names(run, evaluate):
    report, _ = evaluate("--classifier=nn", "--layer=all")
    assert len(report["files"]) == 3 * len(LAYERS)
    assert "nn_all_recomputed.stage3.confusion.csv" in report["files"]
    assert all((run / "evaluations" / name).is_file() for name in report["files"])


def test_few_shot_gives_mean_and_standard_deviation(evaluate):
    report, said = evaluate("--classifier=linear", "--few_shot=1,5", "--few_shot_seeds=3")
    assert [row["shots"] for row in report["rows"]] == [1, 5]
    assert report["rows"][0]["top1"] < report["rows"][1]["top1"]
    assert all(row["top1_deviation"] > 0 and row["seeds"] == 3 for row in report["rows"])
    assert f"{report['rows'][0]['top1']:.2f} ({report['rows'][0]['top1_deviation']:.2f})" in said
    assert report["files"] == []


def test_linear_by_sgd_trains_all_layers_in_one_go_and_keeps_no_features(
    evaluate, monkeypatch, caplog
):
    monkeypatch.setattr("and_tf.evaluation.run.extract_layers", None)
    with caplog.at_level("INFO"):
        report, _ = evaluate(
            "--classifier=linear", "--layer=all", "--solver=sgd", "--sgd_epochs=3",
            "--sgd_batch_size=20", "--crops=10",
        )  # fmt: skip
    assert "Linear classifiers by SGD" in caplog.text and "no features are kept" in caplog.text
    assert "linear classifier by SGD (3 epochs, learning rate 0.01" in report["protocol"]
    assert "mean of 10 crops" in report["protocol"]
    assert [row["layer"] for row in report["rows"]] == LAYERS
    assert all(row["crops"] == 10 and row["epochs"] == 3 for row in report["rows"])
    assert max(row["top1"] for row in report["rows"]) > 50


def test_ten_crops_of_a_classifier_by_lbfgs(evaluate):
    report, _ = evaluate("--classifier=linear", "--layer=stage1", "--crops=10")
    assert report["rows"][0]["crops"] == 10 and report["rows"][0]["converged"]
    assert report["top1"] > 60 and "mean of 10 crops" in report["protocol"]


def test_lbfgs_that_has_no_room_for_features_names_sgd(refuse, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1 << 20))
    flags = ["--classifier=linear", "--layer=all", "--memory_mb=64"]
    monkeypatch.setattr("and_tf.evaluation.linear_memory.GB", 1)
    line = refuse(*flags, "--max_values=100000")
    assert "--solver=sgd" in line and "has 1048576.0 GB" in line


def test_retrieval_without_held_out_images_leaves_each_image_out(evaluate, tmp_path):
    save_folder(tmp_path, ["cat", "dog"])
    flags = [f"--data=folder:{tmp_path}", "--train_split=train", "--classifier=retrieval"]
    report, said = evaluate(*flags)
    assert "an image does not find itself" in said
    assert report["mean_average_precision"] < 100
    assert report["reference"] == report["queries"]
    same, _ = evaluate(*flags, "--eval_split=train")
    assert same["rows"] == report["rows"]


def test_the_training_bank_serves_knn_nn_and_retrieval(evaluate):
    for classifier in ("knn", "nn", "retrieval"):
        report, _ = evaluate(f"--classifier={classifier}", "--bank=memory")
        assert "bank memory" in report["protocol"]


def test_there_are_as_many_clusters_as_classes_and_metrics_by_label(evaluate):
    report, _ = evaluate("--classifier=clusters")
    row = report["rows"][0]
    assert row["clusters"] == 10 and row["seeds"] == 5
    assert {"nmi", "ari", "hungarian_accuracy", "silhouette"} <= set(row)
    assert row["nmi_deviation"] > 0
    assert "360 images" in report["queries"] and "reference" not in report


def test_clusters_need_neither_labels_nor_held_out_images(evaluate, refuse, tmp_path):
    save_folder(tmp_path, ["photos"], number=12)
    flags = [f"--data=folder:{tmp_path / 'photos'}", "--train_split=train"]
    line = refuse(*flags, "--classifier=clusters")
    assert "no labels" in line and "--clusters" in line
    report, _ = evaluate(*flags, "--classifier=clusters", "--clusters=3")
    assert set(report["rows"][0]) & {"nmi", "ari", "hungarian_accuracy"} == set()
    assert -1 <= report["silhouette"] <= 1
    assert "--clusters=13" in refuse(*flags, "--classifier=clusters", "--clusters=13")


def test_unlabelled_images_and_absent_classes_do_no_harm(evaluate, tmp_path):
    data = save_npz(tmp_path / "a.npz", labels=(-1, 0, 3, 7), test_labels=(-1, 3))
    for classifier in ("knn", "nn", "linear", "retrieval", "clusters"):
        flags = ["--clusters=2"] if classifier == "clusters" else []
        report, _ = evaluate(
            f"--data={data}", "--train_split=train", f"--classifier={classifier}", *flags
        )
        assert len(report["rows"]) == 1


def test_other_classes_than_the_references_are_named(refuse, tmp_path):
    data = save_npz(tmp_path / "a.npz", test_labels=(0, 2, 9))
    line = refuse(f"--data={data}", "--train_split=train")
    assert "'9'" in line and "a.npz" in line
    data = save_npz(tmp_path / "b.npz", test_labels=(0, 77))
    assert "'77'" in refuse(f"--eval_data={data}", "--eval_split=test")
    save_folder(tmp_path / "one", ["cat", "dog"])
    save_folder(tmp_path / "two", ["cat", "emu"])
    line = refuse(f"--data=folder:{tmp_path / 'one'}", f"--eval_data=folder:{tmp_path / 'two'}",
                  "--train_split=train")  # fmt: skip
    assert "'emu'" in line


@pytest.mark.parametrize("flag", ["--eval_data", "--data"])
def test_arrays_of_another_size_than_in_training_are_refused(refuse, tmp_path, flag):
    data = save_npz(tmp_path / "a.npz", side=64)
    line = refuse(f"{flag}={data}", "--train_split=train", "--classifier=clusters")
    assert "64x64" in line and "8x8" in line and "resize" in line


@pytest.mark.parametrize(("sides", "size"), [((20, 20, 20), (20, 20)), ((20, 20, 24), None)])
def test_encoded_images_have_a_size_if_all_have_the_same(sides, size):
    items = []
    for side in sides:
        file = io.BytesIO()
        Image.new("RGB", (side, side)).save(file, format="png")
        items.append(file.getvalue())
    assert images.array_size(EncodedSource(items, "encoded")) == size


def test_photos_of_any_size_are_resized(evaluate, tmp_path):
    save_folder(tmp_path, ["cat", "dog"])
    flags = [f"--data=folder:{tmp_path}", f"--eval_data=folder:{tmp_path}", "--train_split=train"]
    report, said = evaluate(*flags, "--k=1")
    assert report["top1"] == 100 and "each knows its own label" in said


def test_an_empty_class_is_named(refuse, tmp_path):
    save_folder(tmp_path / "train", ["cat", "dog"])
    save_folder(tmp_path / "test", ["cat", "dog"])
    (tmp_path / "train" / "emu").mkdir()
    line = refuse(f"--data=folder:{tmp_path}", "--train_split=train")
    assert "'emu' is empty" in line
    (tmp_path / "train" / "emu").rmdir()
    line = refuse(f"--data=folder:{tmp_path}", "--train_split=train[:3]")
    assert "'dog' is empty" in line and "--train_split" in line


def test_a_class_with_too_few_labels_for_few_shot_is_named(refuse, tmp_path):
    data = save_npz(tmp_path / "a.npz", each=4)
    line = refuse(f"--data={data}", "--train_split=train", "--classifier=linear", "--few_shot=1,5")
    assert "--few_shot=5" in line and "4 of the class '0'" in line


def test_missing_labels_are_named_with_what_goes_without(refuse):
    line = refuse("--labels=none")
    assert "no labels" in line and "--classifier=clusters" in line


def test_weights_that_give_nan_are_refused(run, refuse, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(run, broken, ignore=shutil.ignore_patterns("evaluations"))
    with np.load(broken / "checkpoints" / "last.npz", allow_pickle=False) as file:
        arrays = dict(file)
    name = next(name for name in arrays if "stage2" in name or "conv" in name)
    arrays[name] = np.full_like(arrays[name], np.nan)
    np.savez(broken / "checkpoints" / "last.npz", **arrays)
    for flags in ([], ["--layer=all"], ["--classifier=clusters"]):
        assert "holds NaN or infinite" in refuse(*flags, workdir=broken)
    assert not (broken / "evaluations").exists()


def test_a_run_without_a_checkpoint_is_refused(run, refuse, tmp_path):
    bare = tmp_path / "run"
    shutil.copytree(run, bare)
    shutil.rmtree(bare / "checkpoints")
    assert "holds no checkpoint" in refuse(workdir=bare)
    (tmp_path / "empty").mkdir()
    assert "holds no run" in refuse(workdir=tmp_path / "empty")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--k=1,,5"], ["--k=1,,5", "whole numbers"]),
        (["--k=0"], ["--k=0", "at least 1"]),
        (["--k=5,0"], ["--k=5,0", "at least 1"]),
        (["--k=a"], ["--k=a"]),
        (["--k="], ["--k="]),
        (["--k=1.5"], ["--k=1.5"]),
        (["--knn_temperature=0.1,nan"], ["--knn_temperature=0.1,nan"]),
        (["--knn_temperature=0"], ["--knn_temperature=0", "0.00144"]),
        (["--classifier=linear", "--few_shot=0"], ["--few_shot=0"]),
        (["--few_shot=5"], ["--few_shot=5", "--classifier=linear", "--classifier=knn"]),
        (["--classifier=linear", "--few_shot_seeds=3"], ["--few_shot_seeds=3", "--few_shot=1"]),
        (["--classifier=linear", "--k=5"], ["--k", "--classifier=knn"]),
        (["--classifier=nn", "--knn_temperature=1"], ["--knn_temperature", "--classifier=knn"]),
        (["--clusters=5"], ["--clusters", "--classifier=clusters"]),
        (["--classifier=clusters", "--clusters=1"], ["--clusters=1"]),
        (["--bank=memory", "--layer=conv3"], ["--bank=memory", "--layer=conv3"]),
        (["--bank=memory", "--layer=all"], ["--bank=memory", "--layer=all"]),
        (["--bank=memory", "--classifier=linear"], ["--bank=memory", "--classifier=linear"]),
        (["--bank=memory", "--classifier=clusters"], ["--bank=memory", "--classifier=clusters"]),
        (["--bank=memory", "--train_split=train"], ["--bank=memory", "--train_split"]),
        (["--layer=conv6"], ["--layer=conv6", "stem, stage1, stage2, stage3, stage4, fc"]),
        (["--memory_mb=0"], ["--memory_mb=0"]),
        (["--eval_split=dev"], ["dev"]),
        (["--data=npz:/nowhere.npz"], ["/nowhere.npz"]),
    ],
)
def test_flags_that_make_no_sense_are_refused_in_one_line(refuse, flags, words):
    line = refuse(*flags)
    assert all(word in line for word in words), line


def test_a_checkpoint_is_named_in_the_results(run, evaluate, refuse):
    report, said = evaluate("--checkpoint=round_0", "--k=5")
    assert report["checkpoint"] == "round_0" and report["epoch"] == 1 and report["step"] == 2
    assert "checkpoint round_0" in said
    assert (run / "evaluations" / "knn_fc_recomputed_round_0_k5.json").exists() is False
    assert (run / "evaluations" / "knn_fc_recomputed_round_0_k5_t0.1.json").is_file()
    last, _ = evaluate("--k=5")
    assert last["checkpoint"] == "last" and last["rows"] == report["rows"]  # the only round
    assert "--checkpoint=round_9" in refuse("--checkpoint=round_9")
    line = refuse("--checkpoint=round_0", "--bank=memory")
    assert "no bank" in line and "--checkpoint=last" in line


@pytest.fixture(scope="module")
def held_out_run(tmp_path_factory):
    """A run with held-out images of its own, both named by relative paths."""
    folder = tmp_path_factory.mktemp("held_out")
    save_npz(folder / "a.npz")
    save_npz(folder / "b.npz", each=5)
    flags = [
        "--data=npz:a.npz", "--eval_data=npz:b.npz", "--eval_split=train", "--workdir=run",
        "--encoder=resnet_small", "--image_size=8", "--embedding_dim=8", "--rounds=0",
        "--epochs_per_round=1", "--batch_size=6",
    ]  # fmt: skip
    with contextlib.chdir(folder):
        assert programs.train(flags) == 0
    return folder


def test_an_empty_flag_clears_the_value_of_the_run(held_out_run, evaluate):
    path = f"--workdir={held_out_run / 'run'}"
    queries = evaluate(path)[0]["queries"]
    assert "b.npz train, 15 images" in queries
    queries = evaluate(path, "--eval_split=")[0]["queries"]
    assert "b.npz test, 15 images" in queries or "b.npz train, 15 images" in queries
    queries = evaluate(path, "--eval_data=", "--eval_split=")[0]["queries"]
    assert "a.npz test, 12 images" in queries


def test_images_that_have_moved_are_named_anew(held_out_run, evaluate, refuse, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(held_out_run / "run", run)
    os.rename(held_out_run / "a.npz", tmp_path / "moved.npz")
    try:
        assert "a.npz" in refuse(workdir=run)
        report, _ = evaluate(f"--workdir={run}", f"--data=npz:{tmp_path / 'moved.npz'}")
    finally:
        os.rename(tmp_path / "moved.npz", held_out_run / "a.npz")
    assert "moved.npz train, 12 images" in report["reference"]
