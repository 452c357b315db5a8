"""What one NVIDIA GPU makes of and_tf, most valuable part first: python -m benchmarks.gpu

Each part runs in a process of its own within `--limit_s`, and its line is printed as soon as it is
there; one that fails or takes too long is reported, and the next one runs. On a CPU all parts run,
too: give small sizes (`--rows=2000 --steps=5 --product=1024`).

- step:ENCODER:PRECISION: steps of `AND.fit` as train.py runs them on this device (on a GPU: images
  held and augmented on the device, 50 steps a call); its fraction of the device's own rate of
  matrix products in that precision. With :host behind, the host augments; with :xla, the step is
  compiled, which may take minutes before the first one;
- run: a short run of `--flagfile=configs/cifar10.cfg` with its kNN, if `--data_dir` holds the data;
  all 1,000 epochs: `--parts=run --epochs=200 --limit_s=3600 --run_flags=--checkpoint_epochs=0`;
- discovery, knn: neighbourhoods among all rows; weighted kNN, K = 200, of the queries.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import cell_text
from benchmarks.timing import arguments, interleaved, machine, medians

SIDE, DIM = 32, 128
CHAIN = 10  # matrix products per call: a single one would measure the launch
PARTS = (
    "step:alexnet:mixed",
    "step:alexnet:mixed:host",
    "run",
    "step:alexnet:float32",
    "step:resnet18:mixed",
    "step:resnet_small:mixed",
    "discovery",
    "knn",
    "step:resnet18:float32",
    "step:resnet_small:float32",
    "step:alexnet:mixed:xla",
)
VARIANTS = ("", "host", "xla")  # of a step


def main(argv: list[str] | None = None) -> None:
    options = _parser().parse_args(argv)
    if options.part:
        Path(options.json).write_text(json.dumps(measure(options.part, options)))
        return
    print(f"One device, parts in processes of their own, {options.limit_s:g} s each\n{machine()}\n")
    print("| part | result |\n|---|---|")
    results = {}
    for part in options.parts.split(","):
        results[part] = in_a_process(part, options)
        metrics = [f"{name} {cell_text(value)}" for name, value in results[part].items()]
        print(f"| {part} | {'; '.join(metrics)} |", flush=True)
    if options.json:
        record = {"machine": machine(), "parts": results}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = arguments(__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="separated by commas")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # measured in this process
    parser.add_argument("--device", choices=["auto", "gpu", "cpu"], default="auto")
    parser.add_argument("--limit_s", type=float, default=120.0, help="seconds for a part")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rows", type=int, default=50_000, help="images, and rows of the bank")
    parser.add_argument("--queries", type=int, default=10_000, help="of kNN")
    parser.add_argument("--steps", type=int, default=350, help="of fit, the first 50 uncounted")
    parser.add_argument("--product", type=int, default=8192, help="side of the matrix product")
    parser.add_argument("--data_dir", default="", help="prepared TFDS sets, for the run")
    parser.add_argument("--epochs", type=int, default=4, help="of each of the run's five rounds")
    parser.add_argument("--run_flags", default="", help="more flags for the run's train.py")
    return parser


def in_a_process(part: str, options: argparse.Namespace) -> dict:
    """The metrics of a part, or why there are none."""
    environment = dict(os.environ)
    if options.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    given = {name: value for name, value in vars(options).items() if name not in ("json", "parts")}
    flags = [f"--{name}={value}" for name, value in (given | {"part": part}).items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.gpu", *flags, f"--json={path}"]
        try:
            subprocess.run(
                command, env=environment, check=True, timeout=options.limit_s,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"stopped": f"over its limit of {options.limit_s:g} s (--limit_s)"}
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
            line = re.sub(r"^(\w+\.)+", "", lines[-1])  # the error's name without its module
            return {"failed": line[:300].replace("|", "/")}
        return json.loads(path.read_text())


def measure(part: str, options: argparse.Namespace) -> dict:
    """The metrics of a part, measured in this process."""
    import tensorflow as tf

    from and_tf.training.hardware import grow_memory, main_device

    grow_memory()
    if options.device == "gpu" and main_device() != "GPU:0":
        raise SystemExit("TensorFlow finds no GPU: use --device=cpu, or install its CUDA build.")
    name, *settings = part.split(":")
    metrics = {"step": step, "run": short_run, "discovery": discovery, "knn": knn}[name](
        options, *settings
    )
    found = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return metrics | {"device": found[0] if found else "CPU"}


def step(options: argparse.Namespace, name: str, precision: str, variant: str = "") -> dict:
    """Milliseconds per step of `fit`, and its fraction of the device's matrix product rate."""
    if variant not in VARIANTS:
        raise SystemExit(f"A step has {', '.join(VARIANTS[1:])} behind, or nothing: not {variant}.")
    import keras
    import tensorflow as tf

    import and_tf
    from and_tf.data.augmentation import on_device
    from and_tf.data.settings import AugmentationSettings
    from and_tf.data.sources.source import array_source
    from and_tf.training.hardware import main_device, precision_policy

    is_gpu = main_device() == "GPU:0"
    keras.mixed_precision.set_global_policy(precision_policy(precision))
    model = _half_trained_model(options, name)
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (options.rows, SIDE, SIDE, 3), dtype=np.uint8)
    source, augmentation = array_source(pixels, name="random"), AugmentationSettings()
    at_once = min(50, options.steps // 2) if is_gpu else 1
    is_on_device = is_gpu and variant != "host"
    with tf.device(main_device()):
        make_images = on_device.from_noise(pixels, augmentation) if is_on_device else None
    model.compile(
        and_tf.TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4),
        jit_compile=variant == "xla",
        steps_per_execution=at_once,
        make_images=make_images,
    )
    data = and_tf.data.train_pipeline(
        source, options.batch, augmentation, yields="noise" if is_on_device else "augmented"
    )
    ends = []  # of executions; at each, `fit` has waited for the device
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    began = time.perf_counter()
    model.fit(data.take(options.steps), callbacks=[note], verbose=0, shuffle=False)
    seconds = (ends[-1] - ends[0]) / (min(options.steps, len(data)) - at_once)
    memory = _peak_memory()
    peak = product_rate(options, model.dtype_policy.compute_dtype)
    return _step_metrics(options, model.encoder, seconds, peak) | {
        "first call, s": ends[0] - began,
        **memory,
    }


def _half_trained_model(options: argparse.Namespace, name: str) -> Any:
    """AND in the middle of training: half of the images are anchors."""
    import and_tf

    encoder = and_tf.encoders.build_encoder(name, (SIDE, SIDE, 3), DIM, seed=0)
    model = and_tf.AND(encoder, num_samples=options.rows, seed=0)
    rng = np.random.default_rng(0)
    model.neighbours.assign(rng.integers(options.rows, size=(options.rows, 1)))
    model.is_anchor.assign(rng.random(options.rows) < 0.5)
    return model


def _step_metrics(options, encoder, seconds: float, peak: float) -> dict:
    from benchmarks.flops import gflop_per_image

    rate = options.batch / seconds
    return {
        "ms a step": 1000 * seconds,
        "images/s": rate,
        "of the matrix product's rate, %": 100
        * rate
        * gflop_per_image(encoder, options.rows)
        / peak,
        "matrix product, TFLOP/s": peak / 1000,
    }


def product_rate(options: argparse.Namespace, dtype: str) -> float:
    """GFLOP/s of square matrix products of side `--product` on the device.

    In float32 a GPU of Ampere or later uses TensorFloat-32 here, as it does in training.
    """
    import tensorflow as tf

    side = options.product
    matrix = tf.cast(tf.random.normal((side, side)) / side**0.5, dtype)

    @tf.function
    def chain():
        result = matrix
        for _ in range(CHAIN):
            result = tf.matmul(result, matrix)
        return result[0, 0]

    seconds = medians(interleaved({"": lambda: chain().numpy()}, options.repeats))[""]
    return CHAIN * 2 * side**3 / seconds / 1e9


def _peak_memory() -> dict:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return {}
    return {"peak memory, MB": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6}


def short_run(options: argparse.Namespace) -> dict:
    """kNN top-1 of a run of a few epochs, discoveries included, and the time that it took."""
    from and_tf.cli import train
    from and_tf.runs.workdir import Workdir

    if not options.data_dir and "--data=" not in options.run_flags:
        return {"skipped": "needs --data_dir with TFDS's cifar10"}
    card = Path(__file__).parents[1] / "configs" / "cifar10.cfg"
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--flagfile={card}", f"--data_dir={options.data_dir}", "--precision=mixed"]
        flags += [f"--epochs_per_round={options.epochs}", f"--workdir={folder}/run"]
        began = time.perf_counter()
        status = train.main([*flags, "--eval_every=0", *shlex.split(options.run_flags)])
        if status:
            raise SystemExit(f"train.py ended with status {status}.")
        records = Workdir(f"{folder}/run").read_metrics()
    last = [record for record in records if "knn_top1" in record][-1]
    rates = [record["images_per_second"] for record in records if "images_per_second" in record]
    return {
        "kNN top-1, %": last["knn_top1"],
        "epochs": last["epoch"],
        "images/s": float(np.median(rates)),
        "whole run, s": time.perf_counter() - began,
    }


def discovery(options: argparse.Namespace) -> dict:
    """Seconds to find the neighbourhood of each row."""
    from and_tf.search.neighbourhoods import discover

    rows = _unit_rows(options.rows, seed=0)
    return _seconds(lambda: discover(rows, neighbourhood_size=1), options)


def knn(options: argparse.Namespace) -> dict:
    """Seconds to classify the queries by the rows."""
    from and_tf.evaluation import weighted_knn

    rows, queries = _unit_rows(options.rows, seed=0), _unit_rows(options.queries, seed=1)
    labels = np.arange(options.rows) % 10
    return _seconds(lambda: weighted_knn(rows, labels, queries), options)


def _unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _seconds(call: Callable[[], object], options: argparse.Namespace) -> dict:
    return {"seconds": medians(interleaved({"": call}, options.repeats))[""]} | _peak_memory()


if __name__ == "__main__":
    main()
