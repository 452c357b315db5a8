"""Folders of runs as training leaves them, made in a second without training."""

import functools
import json

import numpy as np

from and_tf.cli.train import flags as train_flags
from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.encoders import ENCODERS
from and_tf.encoders.build import build_encoder
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import experiment_settings

SMALL = [
    "--encoder=resnet_small", "--image_size=8", "--embedding_dim=8", "--epochs_per_round=2",
    "--batch_size=1000000",  # all images at once: a step is an epoch
]  # fmt: skip


def settings_of(*flags):
    """The settings that flags of train.py mean."""
    return experiment_settings(train_flags().parse(list(flags)))


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


def make_run(folder, *flags, rounds_done=None, label_free=True, method_arrays=True):
    """A run with an untrained encoder and made-up metrics; a step is an epoch.

    Args:
        folder: of the run.
        flags: of train.py.
        rounds_done: how many rounds have ended; None for all.
        label_free: whether its metrics hold the label-free ones.
        method_arrays: whether the round ends hold entropy, neighbours and anchors.
    """
    settings = settings_of(*SMALL, *flags, f"--workdir={folder}")
    run = Workdir(folder)
    run.path.mkdir(parents=True)
    run.write_flags(settings)
    train, _ = open_train_and_held_out(settings.data)
    metadata = {"images": len(train), "fingerprint": train.fingerprint, "mean": [127.0] * 3,
                "std": [60.0] * 3, "tensorflow": "2", "keras": "3", "python": "3",
                "raw_pixels_knn_top1": 20.0}  # fmt: skip
    run.write_metadata(metadata)
    plan = settings.method.plan
    done = plan.rounds + 1 if rounds_done is None else rounds_done
    last = done * plan.epochs_per_round
    _write_metrics(run, settings, last, len(train), label_free)
    checkpoint.save(run.checkpoint, encoder_arrays(settings), {"step": last})
    checkpoint.save(run.best_checkpoint, encoder_arrays(settings, 1), {"step": min(1, last)})
    for number in range(done):
        arrays = encoder_arrays(settings, number)
        if method_arrays:
            arrays |= _method_arrays(settings, number, len(train))
        step = (number + 1) * plan.epochs_per_round
        checkpoint.save(
            run.round_file(number), arrays, {"step": step, "epoch": step, "round": number}
        )
    return run


def encoder_arrays(settings, seed=0):
    """The variables of an untrained encoder."""
    name, dim = settings.encoder.encoder, settings.encoder.embedding_dim
    return dict(_arrays(ENCODERS[name], name, settings.augmentation.image_size, dim, seed))


@functools.cache
def _arrays(build, name, side, dim, seed):
    """Made once of each `build`, which has the name meanwhile."""
    encoder = build_encoder(name, (side, side, 3), dim, [127.0] * 3, [60.0] * 3, seed=seed)
    state = checkpoint.encoder_state(encoder)
    return {name: np.array(variable.numpy()) for name, variable in state.items()}


def _write_metrics(run, settings, epochs, count, label_free):
    data, per_round = settings.data, settings.method.plan.epochs_per_round
    records = []
    for epoch in range(1, epochs + 1):
        number = (epoch - 1) // per_round
        place = {"step": epoch, "epoch": epoch, "round": number}
        logs = {"loss": 5 / epoch, "learning_rate": 0.03, "images_per_second": 100.0}
        if number:
            logs |= {"anchors": count, "entropy_mean": 2.0, "stability": 10.0 * number}
        records.append(place | logs)
        measured = {}
        if data.labels == "folders" and "unlabelled" not in data.data:
            measured = {"knn_top1": 60.0 + epoch, "knn_top1_bank": 59.0 + epoch}
        if data.labels == "folders" and "train-only" in data.data:
            measured = {"knn_top1_train": 50.0 + epoch}
        if label_free:
            measured |= {"effective_rank": 5.0, "uniformity": -2.0, "alignment": 0.3}
            measured |= {"neighbours_kept": 50.0, "hubness": 1.0}
        if measured and epoch % per_round == 0:
            records.append(place | measured)
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))


def _method_arrays(settings, number, count):
    """What AND keeps of a round: anchors of lowest entropy, or none where it has no such choice."""
    rng = np.random.default_rng(number)
    entropy = rng.uniform(1, 4, count).astype(np.float32) * (number > 0)
    rule = getattr(settings.method, "anchors", None)
    order = np.argsort(entropy) if rule == "entropy" else rng.permutation(count)
    chosen = order[: count * number // max(1, settings.method.plan.rounds)]
    is_anchor = np.isin(np.arange(count), chosen) & (number > 0) & (rule is not None)
    neighbours = ((np.arange(count) + 1) % count)[:, None].astype(np.int32) * (number > 0)
    return {"entropy": entropy, "neighbours": neighbours, "is_anchor": is_anchor}
