"""What is said of a run before it starts and at its end."""

import dataclasses
import types

import keras
import pytest
from helpers import programs

from and_tf.cli.messages import set_up_logging
from and_tf.data import open_source
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training import hardware, summary
from and_tf.training.build import build_experiment
from and_tf.training.loop import make_monitor
from and_tf.training.summary import checkpoint_bytes, log_estimates, step_bytes, summarise

TINY = [
    "--name=tiny", "--data=digits", "--encoder=resnet_small", "--image_size=16",
    "--train_split=train[:70]", "--eval_split=test[:20]", "--rounds=1", "--epochs_per_round=2",
    "--batch_size=32", "--embedding_dim=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    path.mkdir()
    return build_experiment(programs.read_settings(TINY), Workdir(path))


def test_the_checkpoints_of_a_run_take_about_what_is_estimated(experiment, tmp_path):
    monitor = make_monitor(experiment)
    state = checkpoint.training_state(experiment.model) | monitor.state
    checkpoint.save(tmp_path / "last.npz", checkpoint.values(state), {})
    ends = checkpoint.round_state(experiment.model)
    checkpoint.save(tmp_path / "round.npz", checkpoint.values(ends), {})
    last, end = ((tmp_path / name).stat().st_size for name in ("last.npz", "round.npz"))
    # last, previous and the one being written; best and the ends of two rounds
    assert checkpoint_bytes(experiment, monitor) == pytest.approx(3 * last + 3 * end, rel=0.05)


@pytest.mark.parametrize("views", [1, 2])
def test_a_step_keeps_each_activation_of_each_view_and_its_gradient(views):
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(images)  # (6, 6, 4)
    encoder = keras.Model(images, keras.layers.Flatten()(x))
    experiment = types.SimpleNamespace(
        model=types.SimpleNamespace(encoder=encoder),
        settings=types.SimpleNamespace(
            optimizer=types.SimpleNamespace(batch_size=10),
            method=types.SimpleNamespace(views=views),
        ),
    )
    values = 8 * 8 * 3 + 6 * 6 * 4 + 144
    assert step_bytes(experiment) == 2 * 10 * views * values * 4  # float32


def logged(experiment, capsys):
    set_up_logging()
    capsys.readouterr()
    log_estimates(experiment, make_monitor(experiment))
    return capsys.readouterr().err


def test_images_plan_and_cost_are_logged_before_the_start(experiment, capsys):
    text = logged(experiment, capsys)
    assert "70 images" in text and "4 epochs of 3 steps in 2 rounds" in text
    assert str(experiment.run.path) in text and " free" in text
    assert all(line in text for line in experiment.model.describe_memory(32))
    assert "No kNN" not in text and text.count("Warning") == 1
    assert "Warning: 70 images are too few" in text and "pretrained weights (init)" in text


def test_a_run_without_a_step_and_without_loaded_weights_is_told_apart(experiment, capsys):
    settings = programs.read_settings([*TINY, "--rounds=0", "--epochs_per_round=0"])
    text = logged(dataclasses.replace(experiment, settings=settings), capsys)
    assert "Warning: no step is taken" in text and "keeps its random weights" in text
    assert "Raise epochs_per_round" in text and "too few" not in text
    settings = programs.read_settings(
        [*TINY, "--rounds=0", "--epochs_per_round=0", "--init=MobileNetV2"]
    )
    text = logged(dataclasses.replace(experiment, settings=settings), capsys)
    assert "Warning" not in text and "Plan: no training; results in" in text


def test_a_method_that_takes_no_step_names_no_epochs_and_needs_no_warning(experiment, capsys):
    settings = programs.read_settings([*TINY, "--method=random"])
    text = logged(dataclasses.replace(experiment, settings=settings), capsys)
    assert "Plan: no training; results in" in text
    assert "epoch" not in text and "round" not in text and "Warning" not in text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--method=split_brain"], None),
        (["--method=deepcluster"], None),
        (["--method=split_brain", "--grey=0.2"],
         "method='split_brain' is meant for grey=0.0, and this run has grey=0.2"),
        (["--method=split_brain", "--grey=0.2", "--color_jitter=0.4"],
         "for color_jitter=0.0, grey=0.0, and this run has color_jitter=0.4, grey=0.2"),
        (["--method=deepcluster", "--lr_policy=step"],
         "for lr_policy='constant', and this run has lr_policy='step'"),
    ],
)  # fmt: skip
def test_settings_that_the_method_is_not_meant_for_are_warned_of(
    experiment, capsys, flags, expected
):
    settings = programs.read_settings([*TINY, "--rounds=0", *flags])
    text = logged(dataclasses.replace(experiment, settings=settings), capsys)
    assert (expected or "") in text and ("is meant for" in text) == (expected is not None)


def test_a_set_that_is_large_enough_is_not_called_small(experiment, capsys, monkeypatch):
    monkeypatch.setattr("and_tf.training.summary.FEW_IMAGES", 70)
    assert "too few" not in logged(experiment, capsys)


def test_metrics_that_will_be_missing_and_a_small_disk_are_logged(experiment, capsys, monkeypatch):
    experiment = dataclasses.replace(experiment, held_out=None)
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: types.SimpleNamespace(free=1000, total=1, used=1)
    )
    text = logged(experiment, capsys)
    assert "No kNN accuracy: there are no held-out images." in text
    assert "Warning: the disk may not hold the checkpoints." in text


METRICS = [
    {"step": 3, "round": 0, "images_per_second": 10.0},
    {"step": 3, "round": 0, "knn_top1": 40.04},
    {"step": 6, "round": 0, "images_per_second": 1000.0},
    {"step": 6, "round": 0, "knn_top1": 50.0, "knn_top1_bank": 45.0},
    {"step": 9, "round": 1, "images_per_second": 30.0},
    {"step": 12, "round": 1, "knn_top1": 61.26},
]


def summary_of(tmp_path, metrics, metadata, *flags):
    """The lines of summary.txt of a run with these metrics, and its first line's words."""
    run = Workdir(tmp_path)
    run.append_metrics(metrics)
    run.write_metadata({"mean": [0.0], "std": [1.0]} | metadata)
    settings = programs.read_settings([*TINY, *flags])
    images = dataclasses.replace(open_source("digits", "train[:70]"), name="digits train")
    experiment = types.SimpleNamespace(
        run=run, settings=settings, train=images,
        plan=settings.method.plan,
    )  # fmt: skip
    return summarise(experiment, 3700, tmp_path / "export" / "encoder").splitlines()


def test_a_summary_has_the_last_knn_of_each_round_beside_raw_pixels(tmp_path):
    first, cost, title, *knn, exported = summary_of(
        tmp_path, METRICS, {"raw_pixels_knn_top1": 30.0}
    )
    assert (
        first
        == "tiny: Anchor Neighbourhood Discovery, digits train, resnet_small, 4 epochs, seed 0"
    )
    assert "30 images/s (median)" in cost
    assert title == "Weighted kNN, K = 70, top-1 on the held-out images:"
    assert [" ".join(line.split()) for line in knn] == [
        "raw pixels 30.0 %", "round 0 50.0 % (against the bank 45.0 %)", "round 1 61.3 %",
    ]  # fmt: skip
    assert str(tmp_path / "export" / "encoder") in exported


def test_a_summary_tells_how_many_images_voted(tmp_path):
    title = summary_of(tmp_path, METRICS, {}, "--eval_images=20")[2]
    assert title == "Weighted kNN, K = 20, top-1 on the held-out images:"


def test_a_summary_names_the_options_that_are_on(tmp_path):
    flags = ["--views=2", "--group_weight=1", "--flip"]
    first = summary_of(tmp_path, METRICS, {}, *flags)[0]
    method = "Anchor Neighbourhood Discovery with 2 views, group weight 1 and horizontal flips"
    assert first.startswith(f"tiny: {method}, digits train, ")


def test_a_summary_without_training_and_without_labels_says_both(tmp_path):
    first, cost, knn, _ = summary_of(
        tmp_path, [{"step": 0, "round": 1, "uniformity": -0.1}], {}, "--method=random", "--seed=7"
    )
    assert first == "tiny: Random weights, digits train, resnet_small, not trained, seed 7"
    assert "images/s" not in cost and knn.startswith("No kNN accuracy")
    flags = ["--rounds=0", "--epochs_per_round=0"]
    assert "not trained" in summary_of(tmp_path, [], {}, *flags)[0]


def test_a_step_beyond_the_available_memory_is_warned_of_with_the_remedy(
    monkeypatch, caplog, tmp_path
):
    info = tmp_path / "meminfo"
    info.write_text("MemTotal: 4000000 kB\nMemAvailable:    2000000 kB\n")
    monkeypatch.setattr(hardware, "MEMORY_INFO", info)
    monkeypatch.setattr(hardware, "has_gpu", lambda: False)
    summary._warn_of_memory(2_000_000_000, views=2)
    assert not caplog.records
    summary._warn_of_memory(3_000_000_000, views=1)
    assert "3.0 GB of memory, and 2.0 GB are available" in caplog.text
    assert "Lower batch_size or image_size" in caplog.text
    summary._warn_of_memory(3_000_000_000, views=2)
    assert "Lower views, batch_size or image_size" in caplog.text
    info.unlink()
    assert hardware.available_memory() is None
