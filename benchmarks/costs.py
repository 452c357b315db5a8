"""Seconds an epoch and hours an experiment of the shipped configs: python -m benchmarks.costs

Times steps of `fit` as train.py runs them, input included, on random images of each config's size
and number: what is in the pictures does not change the time. Photos count as decoded, which
`--cache_mb` does once. Discovery, evaluation and checkpoints come on top.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from and_tf.cli.train import read_settings
from and_tf.runs.workdir import Workdir
from and_tf.training.build import build_experiment
from and_tf.training.fitting import training_input
from and_tf.training.settings import ExperimentSettings
from benchmarks.processes import user_errors
from benchmarks.step_cases import RunningFit
from benchmarks.timing import arguments, show

CONFIGS = Path(__file__).parents[1] / "configs"
IMAGES = {
    "cifar10": 50_000,
    "cifar100": 50_000,
    "cifar10_best": 50_000,
    "cifar10_deepcluster": 50_000,
    "cifar10_flip": 50_000,
    "cifar10_small": 5_000,
    "cifar10_split_brain": 50_000,
    "cifar10_supervised": 50_000,
    "digits": 1_437,
    "folder": 1_000,  # an example; the number depends on the folder
    "folder_quick": 1_000,
    "smoke": 1_437,
    "svhn": 73_257,
}
NEEDS_WEIGHTS = ("photos_pretrained",)  # starts from a file that is not in the repository
# At 224 pixels they take up to 193 GB as arrays; their cards estimate the time from the arithmetic.
TOO_LARGE = ("cub200", "dogs", "imagenet", "photos")
LEAST_STEPS = 3


def main() -> None:
    options = read_options()
    with user_errors():
        rows = [cost(name, options) for name in options.configs.split(",")]
    title = "Cost of the shipped configs, random images in memory; without discovery and evaluation"
    show(title, rows, options.json)


def read_options(argv: list[str] | None = None) -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--configs", default=",".join(IMAGES))
    parser.add_argument("--images", type=int, help="in place of each config's number")
    parser.add_argument("--seconds", type=float, default=6.0, help="least time of a measurement")
    return parser.parse_args(argv)


def cost(name: str, options: argparse.Namespace) -> dict[str, object]:
    """A row: the time that `--flagfile=configs/NAME.cfg` takes on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(name, Path(folder), options)
        experiment = build_experiment(settings, Workdir(folder))
        seconds = seconds_per_step(experiment, options)
    epoch = seconds * experiment.steps_per_epoch
    return {
        "config": name,
        "encoder": f"{settings.encoder.encoder}, {settings.augmentation.image_size} px",
        "images": f"{len(experiment.train):,}",
        "epochs": f"{experiment.plan.total_epochs:,}",
        "ms a step": 1000 * seconds,
        "seconds an epoch": epoch,
        "hours": epoch * experiment.plan.total_epochs / 3600,
    }


def _settings(name: str, folder: Path, options: argparse.Namespace) -> ExperimentSettings:
    """The config's settings, with random images in place of its own."""
    flagfile = f"--flagfile={CONFIGS / name}.cfg"
    side = read_settings([flagfile]).augmentation.image_size
    shape = (options.images or IMAGES[name], side, side, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(len(images)) % 10  # the classes of supervised training
    np.savez(folder / "random.npz", x_train=images, y_train=labels)
    data = f"--data=npz:{folder / 'random.npz'}"
    # A call of `RunningFit` waits for one execution, which on a GPU has 50 steps.
    one_step = "--steps_per_execution=1"
    return read_settings([flagfile, data, "--train_split=train", "--eval_split=", one_step])


def seconds_per_step(experiment, options: argparse.Namespace) -> float:
    """Median of `options.repeats` measurements, after one that compiles and fills buffers."""
    step = RunningFit(experiment.model, training_input(experiment))
    step()
    measured = [_measure(step, options.seconds) for _ in range(options.repeats + 1)]
    step.end()
    return float(np.median(measured[1:]))


def _measure(step: RunningFit, least_seconds: float) -> float:
    """Mean seconds per step, over as many steps as fit into the time, at least three."""
    start, count, spent = time.perf_counter(), 0, 0.0
    while count < LEAST_STEPS or spent < least_seconds:
        step()
        count, spent = count + 1, time.perf_counter() - start
    return spent / count


if __name__ == "__main__":
    main()
