"""The cost of a run, logged before it starts, and its results, written at its end."""

import logging
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from and_tf.data.settings import FEW_IMAGES
from and_tf.errors import Argument
from and_tf.evaluation.knn_during_training import choose_images
from and_tf.runs import checkpoint
from and_tf.settings import flat_values
from and_tf.training import hardware
from and_tf.training.build import Experiment
from and_tf.training.durations import clock
from and_tf.training.online_evaluation import Monitor
from and_tf.training.settings import ExperimentSettings

logger = logging.getLogger(__name__)


def log_estimates(experiment: Experiment, monitor: Monitor) -> None:
    """Logs the sizes of images, model, step and checkpoints, and which metrics will be missing."""
    run, train, model = experiment.run, experiment.train, experiment.model
    disk, free = checkpoint_bytes(experiment, monitor), shutil.disk_usage(run.path).free
    logger.info(
        "%s: %s images, %s parameters",
        train.name, f"{len(train):,}", f"{model.encoder.count_params():,}",
    )  # fmt: skip
    logger.info("Plan: %s; results in %s", _plan(experiment), run.path)
    logger.info(
        "Memory of a step, without the bank: about %s. Disk: %s of %s free",
        _megabytes(step_bytes(experiment)), _megabytes(disk), _megabytes(free),
    )  # fmt: skip
    _warn_of_memory(step_bytes(experiment), experiment.settings.method.views)
    replicas = model.distribute_strategy.num_replicas_in_sync
    for line in model.describe_memory(-(-experiment.settings.optimizer.batch_size // replicas)):
        logger.info("%s", line)
    if experiment.yields != "augmented":
        held = "" if experiment.yields == "images" else f", which holds all {len(train):,} images"
        logger.info("Augmentation within the step, on its device%s.", held)
    if disk > free:
        logger.warning("the disk may not hold the checkpoints.")
    if monitor.missing:
        logger.info("No kNN accuracy: %s.", monitor.missing)
    _warn_of_recipe(experiment.settings)
    _warn_of_poor_features(experiment.settings, len(train))


def _plan(experiment: Experiment) -> str:
    """Describes how long a run trains."""
    if not experiment.settings.takes_steps:
        return "no training"
    plan, steps = experiment.plan, _count(experiment.steps_per_epoch, "step")
    epochs, rounds = _count(plan.total_epochs, "epoch"), _count(plan.rounds + 1, "round")
    return f"{epochs} of {steps} in {rounds}"


def _warn_of_recipe(settings: ExperimentSettings) -> None:
    """Warns of settings that differ from the method's recipe."""
    values = flat_values(settings)
    meant = {k: v for k, v in settings.method.recipe.items() if values[k] != v}
    if meant:
        names = ", ".join(["%s"] * len(meant))
        logger.warning(
            f"%s is meant for {names}, and this run has {names}.",
            Argument("method", settings.choice.method),
            *(Argument(name, value) for name, value in meant.items()),
            *(Argument(name, values[name]) for name in meant),
        )


def _warn_of_poor_features(settings: ExperimentSettings, num_images: int) -> None:
    """Warns if the features will be random, or almost so, unless the method itself is random."""
    if settings.encoder.init or not settings.method.trains:
        return
    if not settings.takes_steps:
        logger.warning(
            "no step is taken, and no weights are loaded: the encoder keeps its random weights. "
            "Raise %s, or start from pretrained weights (%s).",
            Argument("epochs_per_round"), Argument("init"),
        )  # fmt: skip
    elif num_images < FEW_IMAGES:
        logger.warning(
            "%s images are too few to learn features from, below about %d: start from pretrained "
            "weights (%s), or add images.",
            f"{num_images:,}", FEW_IMAGES, Argument("init"),
        )  # fmt: skip


def _warn_of_memory(needed: int, views: int) -> None:
    """Warns if a step on the CPU needs more memory than is available; a GPU has its own."""
    available = None if hardware.has_gpu() else hardware.available_memory()
    if available is not None and needed > available:
        logger.warning(
            "a step takes about %s of memory, and %s are available: the system may end the program."
            f" Lower {'%s, ' * (views > 1)}%s or %s.",
            _megabytes(needed), _megabytes(available), *[Argument("views")] * (views > 1),
            Argument("batch_size"), Argument("image_size"),
        )  # fmt: skip


def checkpoint_bytes(experiment: Experiment, monitor: Monitor) -> int:
    """Size of all checkpoints: the last two, the one being written, the best, and round ends."""
    state = checkpoint.training_state(experiment.model) | monitor.state
    round_bytes = checkpoint.state_bytes(checkpoint.round_state(experiment.model))
    return 3 * checkpoint.state_bytes(state) + (experiment.plan.rounds + 2) * round_bytes


def step_bytes(experiment: Experiment) -> int:
    """Approximate size of a step's activations of all views, and of their gradients."""
    values = sum(
        int(np.prod(layer.output.shape[1:]))
        for layer in experiment.model.encoder.layers
        if isinstance(layer.output, keras.KerasTensor)
    )
    settings = experiment.settings
    return 2 * 4 * settings.optimizer.batch_size * settings.method.views * values


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def summarise(experiment: Experiment, seconds: float, exported: Path) -> str:
    """The text of summary.txt: what was run, its cost, and kNN by round and of raw pixels."""
    run, settings = experiment.run, experiment.settings
    metrics = run.read_metrics()
    rates = [record["images_per_second"] for record in metrics if "images_per_second" in record]
    rate = f", {np.median(rates):,.0f} images/s (median)" if rates else ""
    epochs = f"{experiment.plan.total_epochs} epochs" if settings.takes_steps else "not trained"
    chosen = choose_images(len(experiment.train), settings.run.eval_images)
    votes = chosen.votes(experiment.train.labels)
    lines = [
        f"{settings.run.name}: {settings.title}, {experiment.train.name}, "
        f"{_network(experiment)}, {epochs}, seed {settings.run.seed}",
        f"{clock(seconds)} since the last start{rate}",
        *_knn_lines(metrics, run.read_metadata(), votes),
        f"Encoder: {exported} (SavedModel) and .keras",
    ]
    return "\n".join(lines)


def _network(experiment: Experiment) -> str:
    choice = experiment.settings.encoder
    start = f" from {choice.init}" if choice.init else ""
    return (experiment.model.encoder.name if choice.is_of_init else choice.encoder) + start


def _knn_lines(metrics: list[dict[str, Any]], metadata: dict[str, Any], votes: int) -> list[str]:
    """The last kNN of each round; `votes` is K."""
    ends = {record["round"]: record for record in metrics if "knn_top1" in record}
    if not ends:
        return ["No kNN accuracy: there are no labelled held-out images."]
    lines = [f"Weighted kNN, K = {votes}, top-1 on the held-out images:"]
    if "raw_pixels_knn_top1" in metadata:
        lines.append(f"  raw pixels  {metadata['raw_pixels_knn_top1']:.1f} %")
    if "init_knn_top1" in metadata:
        lines.append(f"  at start    {metadata['init_knn_top1']:.1f} %")
    for number, record in sorted(ends.items()):
        line = f"  round {number}     {record['knn_top1']:.1f} %"
        if "knn_top1_bank" in record:
            line += f"   (against the bank {record['knn_top1_bank']:.1f} %)"
        lines.append(line)
    return lines
