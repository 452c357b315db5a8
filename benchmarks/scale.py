"""How far a bank in parts goes: measured on logical devices, and by arithmetic on many GPUs.

python -m benchmarks.scale [--devices 1,2,4 --workers 1,2 --rows 20000,40000 --batch 64 --dim 128
    --repeats 5 --only measured/processes/sampled/extrapolated --json FILE]

Measured: a training step of AND with a small encoder under MirroredStrategy on logical devices of
this CPU, which share its cores, so that times tell what the parts cost and not what more devices
gain; the bytes of the bank on a device; discovery for two numbers of rows. Processes: the same of
worker processes on 127.0.0.1 (`scale_worker`), with what discovery takes of each process's memory.
Sampled: how far a softmax over a random part of the rows is from the one over all. Extrapolated:
`scale_model`, with the speeds stated there.
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from benchmarks import scale_model, scale_worker, timing
from benchmarks.discovery import clustered_rows

SECTIONS = ("measured", "processes", "sampled", "extrapolated")
IMAGES, GPUS = (1.28e6, 1e8, 1e9), (1, 8, 64, 512)


def main(argv: list[str] | None = None) -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--devices", default="1,2,4", help="logical devices, one or several")
    parser.add_argument("--workers", default="1,2", help="processes, one or several")
    parser.add_argument("--rows", default="20000,40000", help="N, one or several")
    parser.add_argument("--batch", type=int, default=64, help="images of a step on all devices")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--only", default="/".join(SECTIONS), help="separated by /")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # devices of a process of its own
    options = parser.parse_args(argv)
    if options.one:
        print(json.dumps(_measure(int(options.one), options)))
        return
    chosen = options.only.split("/")
    rows = [int(number) for number in options.rows.split(",")]
    tables = {}
    if "measured" in chosen:
        tables["Training step on logical devices"] = measured(options)
        tables["Exact discovery on this CPU"] = discovery_seconds(rows, options)
    if "processes" in chosen:
        tables["Training step and discovery by processes"] = scale_worker.measured(options)
    if "sampled" in chosen:
        tables["A softmax over a random part of the rows"] = sampled_bias(max(rows), options.dim)
    if "extrapolated" in chosen:
        tables["Extrapolated: AND, ResNet-50, D = 128, k = 1"] = extrapolated()
    for title, table in tables.items():
        is_timed = title.startswith(("Training", "Exact"))
        timing.show(title, table, is_timed=is_timed)
        print()
    if options.json:
        options.json.write_text(json.dumps({"machine": timing.machine()} | tables, indent=2) + "\n")


def measured(options: argparse.Namespace) -> list[dict]:
    """A row for each number of devices and rows and kind of bank; one process per device number."""
    table = []
    for devices in options.devices.split(","):
        command = [sys.executable, "-m", "benchmarks.scale", f"--one={devices}"]
        for name in ("rows", "batch", "dim", "repeats"):
            command.append(f"--{name}={getattr(options, name)}")
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        table += json.loads(done.stdout.splitlines()[-1])
    return table


def _measure(devices: int, options: argparse.Namespace) -> list[dict]:
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    logical = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(cpu, logical)
    names = [f"CPU:{number}" for number in range(devices)]
    strategy = tf.distribute.MirroredStrategy(names)
    table = []
    for num_rows in (int(number) for number in options.rows.split(",")):
        cases, held = {}, {}
        for is_sharded in (False, True) if devices > 1 else (False,):
            kind = "in parts" if is_sharded else "whole"
            model = small_model(strategy, num_rows, options.dim, is_sharded)
            cases[kind] = _step(strategy, model, options.batch)
            held[kind] = bank_bytes(strategy, model)
        seconds = timing.medians(timing.interleaved(cases, options.repeats))
        for kind, median in seconds.items():
            table.append({
                "devices": devices, "rows": num_rows, "bank": kind, "ms per step": 1e3 * median,
                "bank on a device, MB": 1e-6 * held[kind],
            })  # fmt: skip
    return table


def small_model(strategy, num_rows: int, dim: int, is_sharded: bool):
    """AND with a single dense layer as encoder, so that nearly all of a step is the bank."""
    import keras

    from and_tf.methods.anchor_neighbourhoods.model import AND
    from and_tf.training.optimizers import TorchSGD

    with strategy.scope():
        images = keras.Input((8, 8, 3))
        rows = keras.layers.Dense(dim)(keras.layers.Flatten()(images))
        encoder = keras.Model(images, keras.layers.UnitNormalization()(rows))
        model = AND(encoder, num_rows, seed=0, shard_bank=is_sharded)
        model.compile(TorchSGD(0.01, momentum=0.9))
    return model


def _step(strategy, model, batch: int):
    """A function that takes one step on a prepared batch."""
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (batch, 8, 8, 3)).astype("float32")
    data = tf.data.Dataset.from_tensors((images, np.arange(batch, dtype="int64")))
    ready = next(iter(strategy.experimental_distribute_dataset(data.unbatch().batch(batch))))

    @tf.function
    def step():
        return strategy.run(model.train_step, args=(ready,))

    return lambda: [loss.numpy() for loss in strategy.experimental_local_results(step()["loss"])]


def bank_bytes(strategy, model) -> int:
    variable = model.bank.part if model.bank.is_sharded else model.bank.rows.value
    return strategy.experimental_local_results(variable)[0].numpy().nbytes


def discovery_seconds(sizes: list[int], options: argparse.Namespace) -> list[dict]:
    """A row for each number of rows, searched exactly."""
    from and_tf.search.neighbourhoods import discover

    table = []
    for size in sizes:
        rows = clustered_rows(size, options.dim)
        discover(rows[:1000])  # compiled
        started = time.perf_counter()
        discover(rows)
        seconds = time.perf_counter() - started
        table.append({"rows": size, "s": seconds, "pairs per s": size**2 / seconds})
    return table


def sampled_bias(
    num_rows: int, dim: int, queries: int = 256, draws: int = 8, temperature: float = 0.1
) -> list[dict]:
    """How a softmax over a random part of the rows differs from the one over all.

    An image's own row always counts once; the m others in the sample count (N - 1) / m times each.
    That makes the sum unbiased, but not its logarithm and gradient.

    Returns:
        A row for each fraction: mean and standard deviation of the error of the loss in nats, and
        the norm of the gradient's error relative to the norm of the gradient, in percent: for a
        single sample, and for the mean over all samples, which estimates the bias.
    """
    rows = clustered_rows(num_rows, dim)
    rng = np.random.default_rng(1)
    own = rng.choice(num_rows, queries, replace=False)
    noisy = rows[own] + 0.5 * rng.normal(size=(queries, dim)) / dim**0.5
    embeddings = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    everything = np.arange(num_rows)
    exact, gradient = _softmax(rows, embeddings, own, everything, temperature)
    length = np.linalg.norm(gradient)
    table = []
    for fraction in (0.01, 0.1, 0.5):
        size = int(fraction * num_rows)
        found = [
            _softmax(rows, embeddings, own, rng.choice(num_rows, size, replace=False), temperature)
            for _ in range(draws)
        ]
        errors = np.stack([losses for losses, _ in found]) - exact  # (draws, Q)
        of_one = np.mean([np.linalg.norm(g - gradient) for _, g in found])
        of_mean = np.linalg.norm(np.mean([g for _, g in found], axis=0) - gradient)
        table.append({
            "rows": num_rows, "sampled, %": 100 * fraction,
            "bias of the loss, nats": float(errors.mean()),
            "its standard deviation": float(errors.std()),
            "gradient off by, %": 100 * of_one / length,
            f"mean of {draws} off by, %": 100 * of_mean / length,
        })  # fmt: skip
    return table


def _softmax(
    rows: np.ndarray, embeddings: np.ndarray, own: np.ndarray, sample: np.ndarray, tau: float
) -> tuple[np.ndarray, np.ndarray]:
    """Losses (Q,) of Instance and gradients (Q, D), over each image's own row and a sample."""
    logits = embeddings @ rows[sample].T / tau  # (Q, m)
    logits = np.where(sample == own[:, None], -np.inf, logits)
    others = np.isfinite(logits).sum(axis=1, keepdims=True)  # (Q, 1)
    logits += np.log((len(rows) - 1) / others)
    own_logit = (embeddings * rows[own]).sum(axis=1) / tau  # (Q,)
    largest = np.maximum(logits.max(axis=1), own_logit)[:, None]
    weights, own_weight = np.exp(logits - largest), np.exp(own_logit[:, None] - largest)
    total = weights.sum(axis=1, keepdims=True) + own_weight  # (Q, 1)
    mean = (weights @ rows[sample] + own_weight * rows[own]) / total  # (Q, D)
    return (largest + np.log(total))[:, 0] - own_logit, (mean - rows[own]) / tau


def extrapolated() -> list[dict]:
    """A row for each number of images and GPUs."""
    table = []
    for images in IMAGES:
        for gpus in GPUS:
            found = scale_model.costs(images, gpus)
            reasons = scale_model.breaks(found)
            table.append({
                "images": f"{images:.3g}", "GPUs": gpus, "step, ms": 1e3 * found.step,
                "of it softmax": 1e3 * found.softmax, "exchange": 1e3 * found.exchange,
                "epoch, h": found.epoch / 3600, "exact discovery, h": found.discovery / 3600,
                "by index, h": found.index / 3600, "GPU, GB": 1e-9 * found.gpu_bytes,
                "whole bank, GB": 1e-9 * found.whole_gpu_bytes,
                "host, GB": 1e-9 * found.host_bytes,
                "checkpoint, min": found.checkpoint / 60,
                "what breaks": "; ".join(reasons) or "nothing",
            })  # fmt: skip
    return table


if __name__ == "__main__":
    main()
