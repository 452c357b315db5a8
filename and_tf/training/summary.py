"""What a run costs, printed before it starts, and what came of it, written at its end."""

import shutil

import keras
import numpy as np

from and_tf.export.run import export_path
from and_tf.runs import checkpoint
from and_tf.training.build import Experiment
from and_tf.training.online_evaluation import Monitor
from and_tf.training.pace import clock


def print_estimates(experiment: Experiment, monitor: Monitor) -> None:
    """Says how large images, bank, step and checkpoints are, and which figures will be missing."""
    options, model, train = experiment.options, experiment.model, experiment.train
    state = checkpoint.training_state(model) | monitor.state
    kept_round = checkpoint.state_bytes(checkpoint.round_state(model))
    # The last two, the one being written, the best and the ends of the rounds.
    disk = 3 * checkpoint.state_bytes(state) + (experiment.plan.rounds + 2) * kept_round
    free = shutil.disk_usage(experiment.run.path).free
    bank = 4 * model.num_samples * model.bank.dim
    batch = -(-options.batch_size // model.distribute_strategy.num_replicas_in_sync)
    at_once = int(model.rows_at_once(batch))
    logits = 4 * batch * at_once
    values = sum(
        int(np.prod(layer.output.shape[1:]))
        for layer in model.encoder.layers
        if isinstance(layer.output, keras.KerasTensor)
    )
    step = 2 * 4 * options.batch_size * values + 3 * logits
    print(f"{train.name}: {len(train):,} images, {model.encoder.count_params():,} parameters")
    print(
        f"Plan: {experiment.plan.total_epochs} epochs of {experiment.steps_per_epoch} steps in "
        f"{experiment.plan.rounds + 1} rounds; results in {experiment.run.path}"
    )
    print(
        f"Estimates: bank {_megabytes(bank)}, step memory {_megabytes(step)}, "
        f"disk {_megabytes(disk)} of {_megabytes(free)} free"
    )
    if experiment.sends == "images":
        print("Augmentation within the step, on its device.")
    elif experiment.sends == "draws":
        held = _megabytes(train.images.nbytes)
        print(f"Augmentation within the step, on its device, which holds all images: {held}.")
    if at_once < model.num_samples:
        print(
            f"The softmax over the bank's {model.num_samples:,} rows runs in blocks of {at_once:,}"
            f" (--logits_mb={options.logits_mb})."
        )
    if disk > free:
        print("Warning: the disk may not hold the checkpoints.")
    if monitor.missing:
        print(f"No kNN accuracy: {monitor.missing}.")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def summarise(experiment: Experiment, seconds: float) -> str:
    """The text of summary.txt: what was run, its cost, and kNN by round beside raw pixels."""
    run, options = experiment.run, experiment.options
    facts, metrics = run.read_facts(), run.read_metrics()
    lines = [
        f"{options.name}: {options.method} on {experiment.train.name}, {options.encoder}, "
        f"{experiment.plan.total_epochs} epochs, seed {options.seed}",
        f"{clock(seconds)} since the last start, {_median_rate(metrics):,.0f} images/s (median)",
    ]
    ends = {record["round"]: record for record in metrics if "knn_top1" in record}
    if ends:
        lines.append("Weighted kNN, K = 200, top-1 on the held-out images:")
        if "raw_pixels_knn_top1" in facts:
            lines.append(f"  raw pixels  {facts['raw_pixels_knn_top1']:.1f} %")
        for number, record in sorted(ends.items()):
            lines.append(
                f"  round {number}     {record['knn_top1']:.1f} %   "
                f"(against the bank {record['knn_top1_bank']:.1f} %)"
            )
    else:
        lines.append("No kNN accuracy: there are no labelled held-out images.")
    lines.append(f"Encoder: {export_path(run, 'savedmodel')} (SavedModel) and .keras")
    return "\n".join(lines) + "\n"


def _median_rate(metrics: list[dict]) -> float:
    rates = [record["images_per_second"] for record in metrics if "images_per_second" in record]
    return float(np.median(rates))
