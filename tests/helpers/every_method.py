"""Trains by each method in one start: alone, on four logical devices of the CPU, or as one of the
processes that `TF_CONFIG` names.

Usage: python -m helpers.every_method FOLDER RUN,... --strategy=none|mirrored|multiworker
"""

import pathlib
import sys

from and_tf.cli.quick_import import quick_import

with quick_import():
    import tensorflow as tf

import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports
from helpers.small_worker import small_encoder

from and_tf.training import encoder, loop
from and_tf.training.workers import Workers, workers_of

# Of a run that can be broken off at any moment and continued.
TO_BE_CONTINUED = [
    "--deterministic", "--checkpoint_steps=2", "--epochs_per_round=4", "--eval_every=4",
]  # fmt: skip

# Method, number of images and flags of each run. The last batch of 23 images holds 7, that of 21
# holds 5, of which TensorFlow gives the last of four devices none, and that of 17 a single one.
# Each way to keep the bank comes once: whole in each process, and in parts.
COUNTS = (17, 21, 23)
FLAGS = {
    "instance": ["instance", 23, "--views=2", "--group_weight=0.5", "--entropy_weight=0.2"],
    "bank_in_parts": ["and", 17, "--shard_bank", "--entropy_weight=0.2", "--steps_per_execution=2"],
    "deepcluster": ["deepcluster", 17, "--num_clusters=4"],
    "split_brain": ["split_brain", 21],
    "supervised": ["supervised", 21],
    "random": ["random", 21],
    "deterministic": ["and", 21, *TO_BE_CONTINUED],  # the last, for the process stays so
}


def write_images(folder, count):
    """Images of noise in three classes, as the data set `npz:PATH`."""
    rng, path = np.random.default_rng(0), folder / f"{count}.npz"
    numbers = {"train": count, "test": 9}
    images = {f"x_{k}": rng.integers(0, 256, (n, 8, 8, 3), "uint8") for k, n in numbers.items()}
    np.savez(path, **images, **{f"y_{k}": np.arange(n) % 3 for k, n in numbers.items()})
    return path


def flags(folder, run, method, count, *others):
    """Of a short run of a method."""
    return [
        f"--data=npz:{folder / f'{count}.npz'}", f"--workdir={run}", f"--method={method}",
        "--image_size=8", "--embedding_dim=4", "--batch_size=8", "--crop_min_area=0.5",
        "--color_jitter=0", "--grey=0", "--eval_every=1", "--epochs_per_round=2", *others,
        f"--rounds={int(method == 'and')}",
    ]  # fmt: skip


def train_all(folder, names=tuple(FLAGS), strategy="none"):
    runs = [
        programs.read_settings(
            [*flags(folder, folder / name, *FLAGS[name]), f"--strategy={strategy}"]
        )
        for name in names
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "build_encoder", small_encoder)
        patch.setattr(Workers, "part", lambda workers: None)  # there are more runs
        skip_exports(patch)
        with workers_of(runs[0]) as workers:
            for settings in runs:
                loop.run_by(workers, settings, lambda *others: None)


def make_four_devices():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)


if __name__ == "__main__":
    folder, names, strategy = sys.argv[1:]
    if strategy == "--strategy=mirrored":
        make_four_devices()
    train_all(pathlib.Path(folder), names.split(","), strategy.removeprefix("--strategy="))
