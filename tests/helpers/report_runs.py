"""Folders of runs as training leaves them, made in a second without training."""

import json
import types

import numpy as np

from and_tf.cli.train import read_settings
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.settings import flat_values
from and_tf.training.build import build_experiment

SMALL = [
    "--encoder=resnet_small", "--image_size=8", "--embedding_dim=8", "--epochs_per_round=2",
    "--batch_size=4",
]  # fmt: skip


def save_images(path, count, num_classes, held_out=True, seed=0):
    """An .npz of `count` 8x8 images whose brightness shows their class, and half as many to test.

    Args:
        num_classes: 0 for no labels at all; -1 for labels of -1 only.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, size in (("train", count), ("test", max(2, count // 2)))[: 1 + held_out]:
        labels = np.arange(size) % max(1, num_classes)
        images = rng.integers(0, 60, (size, 8, 8, 3)) + (labels * 17 % 190)[:, None, None, None]
        arrays[f"x_{split}"] = images.astype(np.uint8)
        if num_classes:
            arrays[f"y_{split}"] = np.full(size, -1) if num_classes < 0 else labels
    np.savez(path, **arrays)
    return f"--data=npz:{path}"


def make_run(folder, *flags, rounds_done=None, label_free=True):
    """A run with an untrained encoder and made-up figures.

    Args:
        folder: of the run.
        flags: of train.py.
        rounds_done: how many rounds have ended; None for all.
        label_free: whether its metrics hold the label-free figures.
    """
    settings = read_settings([*SMALL, *flags, f"--workdir={folder}"])
    options = types.SimpleNamespace(**flat_values(settings))
    run = Workdir(folder)
    experiment = build_experiment(settings, run)
    run.write_flags(settings)
    run.write_facts(experiment.metadata | {"raw_pixels_knn_top1": 20.0})
    done = options.rounds + 1 if rounds_done is None else rounds_done
    _write_metrics(run, options, done, len(experiment.train), label_free)
    state = checkpoint.encoder_state(experiment.model.encoder)
    arrays = {name: variable.numpy() for name, variable in state.items()}
    checkpoint.save(run.checkpoint, arrays, {"step": 1, "curriculum": {}})
    for number in range(done):
        _save_round(run, options, number, arrays, len(experiment.train))
    return run


def _write_metrics(run, options, done, count, label_free):
    records = []
    for epoch in range(1, done * options.epochs_per_round + 1):
        number = (epoch - 1) // options.epochs_per_round
        place = {"step": epoch, "epoch": epoch, "round": number}
        figures = {"loss": 5 / epoch, "learning_rate": 0.03, "images_per_second": 100.0}
        if number:
            figures |= {"anchors": count, "entropy_mean": 2.0, "stability": 10.0 * number}
        records.append(place | figures)
        measured = {}
        if options.labels == "folders" and "unlabelled" not in options.data:
            measured = {"knn_top1": 60.0 + epoch, "knn_top1_bank": 59.0 + epoch}
        if options.labels == "folders" and "train-only" in options.data:
            measured = {"knn_top1_train": 50.0 + epoch}
        if label_free:
            measured |= {"effective_rank": 5.0, "uniformity": -2.0, "alignment": 0.3}
            measured |= {"neighbours_kept": 50.0, "hubness": 1.0}
        if measured and epoch % options.epochs_per_round == 0:
            records.append(place | measured)
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))


def _save_round(run, options, number, arrays, count):
    rng = np.random.default_rng(number)
    entropy = rng.uniform(1, 4, count).astype(np.float32) * (number > 0)
    chosen = np.argsort(entropy)[: count * number // max(1, options.rounds)]
    state = {
        "entropy": entropy,
        "neighbours": ((np.arange(count) + 1) % count)[:, None].astype(np.int32) * (number > 0),
        "is_anchor": np.isin(np.arange(count), chosen) & (number > 0),
        "round": np.array(number),
    }
    epoch = (number + 1) * options.epochs_per_round
    facts = {"step": epoch, "epoch": epoch, "round": number}
    checkpoint.save(run.round_file(number), arrays | state, facts)
