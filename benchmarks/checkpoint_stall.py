"""How long training waits for a checkpoint of a large bank: python -m benchmarks.checkpoint_stall

Steps of Instance on random images, with a checkpoint of the whole state after some of them: written
before the next step begins, as until version 0.4, and written while training goes on. The stall is
what `fit` spends on the checkpoint between two steps; the steps during the writing are timed, too,
for they share the processor with it.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from and_tf.encoders.build import build_encoder
from and_tf.methods.instance_model import InstanceModel
from and_tf.methods.rounds import RoundPlan
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks import Checkpoints, StepCounter
from and_tf.training.optimizers import TorchSGD
from and_tf.training.settings import RunSettings
from and_tf.training.stopping import StopRequest
from benchmarks.timing import arguments, show

SIDE = 32  # pixels


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=1_281_167, help="of the bank")
    parser.add_argument("--dim", type=int, default=128, help="length of an embedding")
    parser.add_argument("--batch", type=int, default=32, help="images in a step")
    parser.add_argument("--every", type=int, default=8, help="steps from checkpoint to checkpoint")
    parser.add_argument("--encoder", default="resnet_small")
    parser.add_argument(
        "--folder", type=Path, help="of the checkpoints; by default a temporary one"
    )
    options = parser.parse_args()
    rows = [
        measure(dtype, in_background, options)
        for dtype in ("float32", "float16")
        for in_background in (False, True)
    ]
    show(
        f"A checkpoint of {options.rows:,} rows, D = {options.dim}, every {options.every} steps of "
        f"{options.batch} images; medians of {options.repeats}",
        rows,
        options.json,
    )


def measure(bank_dtype: str, in_background: bool, options: argparse.Namespace) -> dict:
    """A row: seconds of the stall, and of steps with and without a checkpoint being written."""
    model = build(bank_dtype, options)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        run = Workdir(Path(folder) / "run")
        run.path.mkdir()
        timed = Timed(run, in_background, options)
        steps = (options.repeats + 1) * options.every
        counter = StepCounter(options.batch * steps, steps)
        timed.follow(counter)
        model.fit(batches(options, steps), verbose=0, shuffle=False, callbacks=[counter, timed])
        timed.checkpoints.writer.wait()
        size = run.checkpoint.stat().st_size
    steps_beside = timed.steps_while_writing
    return {
        "bank": bank_dtype,
        "written": "while training goes on" if in_background else "before the next step",
        "checkpoint, MB": size / 1e6,
        "stall, s": statistics.median(timed.stalls[1:]),
        "step, s": statistics.median(timed.steps[1:]),
        "step while writing, s": statistics.median(steps_beside) if steps_beside else None,
    }


def build(bank_dtype: str, options: argparse.Namespace) -> InstanceModel:
    encoder = build_encoder(options.encoder, (SIDE, SIDE, 3), options.dim, seed=0)
    model = InstanceModel(encoder, options.rows, seed=0, bank_dtype=bank_dtype)
    model.compile(TorchSGD(0.03, momentum=0.9))
    return model


def batches(options: argparse.Namespace, steps: int) -> tf.data.Dataset:
    """Batches of random images and rows; only the rows differ between steps."""
    draw = np.random.default_rng(0)
    images = tf.constant(draw.uniform(0, 255, (options.batch, SIDE, SIDE, 3)), tf.float32)
    rows = np.stack([draw.choice(options.rows, options.batch, replace=False) for _ in range(steps)])
    return tf.data.Dataset.from_tensor_slices(rows).map(lambda indices: (images, indices))


class Timed(keras.callbacks.Callback):
    """Saves with the callback of train.py, and times steps and stalls."""

    def __init__(self, run: Workdir, in_background: bool, options: argparse.Namespace):
        super().__init__()
        self.run, self.in_background, self.every = run, in_background, options.every
        self.stalls: list[float] = []
        self.steps: list[float] = []
        self.steps_while_writing: list[float] = []

    def follow(self, counter: StepCounter) -> None:
        monitor = SimpleNamespace(state={}, best=-1.0)
        plan, settings = RoundPlan(rounds=0, epochs_per_round=1), RunSettings()
        self.checkpoints = Checkpoints(
            self.run, settings, plan, counter, monitor, StopRequest(), dict
        )

    def set_model(self, model):
        super().set_model(model)
        self.checkpoints.set_model(model)

    def on_train_batch_begin(self, batch, logs=None):
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        seconds = time.perf_counter() - self.began
        is_writing = self.checkpoints.writer.is_busy
        (self.steps_while_writing if is_writing else self.steps).append(seconds)
        if (batch + 1) % self.every == 0:
            start = time.perf_counter()
            self.checkpoints.save()
            if not self.in_background:
                self.checkpoints.writer.wait()
            self.stalls.append(time.perf_counter() - start)


if __name__ == "__main__":
    main()
