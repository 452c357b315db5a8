"""What `fit` with all callbacks of a run costs over its bare step: python -m benchmarks.fit

Cases, in turns in one process, on the same batches in memory (`--input` adds the last):

- bare: `train_step` in one `tf.function`, called in a loop;
- fit, n: `fit` as train.py calls it, n steps in an execution. What comes between epochs, the
  checkpoint and the log above all, is timed apart;
- fit with input: batches from the pipeline, which shuffles and augments on the same cores.

The last column spreads the time between epochs over as many steps as an epoch of the data set has.
"""

import argparse
import functools
import statistics
import tempfile
import time
from pathlib import Path

import keras
import tensorflow as tf

from and_tf.cli.train import read_settings
from and_tf.runs.workdir import Workdir
from and_tf.training import loop as training
from and_tf.training.build import build_experiment
from and_tf.training.callbacks import run_callbacks
from and_tf.training.fitting import training_input
from and_tf.training.stopping import StopRequest
from benchmarks.processes import user_errors
from benchmarks.timing import arguments, interleaved, show


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--flags", default="--flagfile=configs/digits.cfg", help="of train.py")
    parser.add_argument("--epoch", type=int, default=0, help="steps of an epoch; 0: the data set's")
    parser.add_argument("--epochs", type=int, default=3, help="in a measurement")
    parser.add_argument("--executions", default="1,50", help="steps in an execution")
    parser.add_argument("--input", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, user_errors():
        rows, seconds = measure(options, Path(folder) / "run")
    show(f"Fit over the bare step: {options.flags}", rows, options.json, seconds=seconds)


def measure(options: argparse.Namespace, folder: Path) -> tuple[list[dict], dict]:
    """A row per case, and all timings within and between epochs."""
    # An endless round without evaluations: each measured epoch is like one in the middle of a run.
    given = [*options.flags.split(), "--rounds=0", "--epochs_per_round=1000000", "--eval_every=0"]
    settings = read_settings(given)
    run = Workdir(folder)
    folder.mkdir()
    experiment = build_experiment(settings, run)
    pipeline = training_input(experiment)
    steps = options.epoch or experiment.steps_per_epoch
    batches = list(pipeline.take(steps))
    cases = {"bare": Bare(experiment.model, batches, options.epochs)}
    for size in map(int, options.executions.split(",")):
        cases[f"fit, {size}"] = Fit(experiment, batches, options.epochs, size)
    if options.input:
        cases["fit with input"] = Fit(experiment, pipeline.take(steps), options.epochs, 1)
    interleaved(cases, options.repeats)
    # Without the first call, which compiles.
    found = {name: case.within[options.epochs :] for name, case in cases.items()}
    between = {name: case.between[options.epochs - 1 :] for name, case in cases.items()}
    rows = []
    bare_ms = 1000 * statistics.median(found["bare"]) / steps
    for name in cases:
        step = 1000 * statistics.median(found[name]) / steps
        epoch = 1000 * statistics.median(between[name] or [0.0])
        whole = step + epoch / experiment.steps_per_epoch
        rows.append(
            {
                "case": name,
                "ms a step": step,
                "over bare, %": 100 * (step / bare_ms - 1),
                "ms between epochs": epoch,
                "whole epochs over bare, %": 100 * (whole / bare_ms - 1),
            }
        )
    return rows, {"epochs": found, "between": between}


class Bare:
    """Epochs of bare steps; `within` collects the seconds of each."""

    def __init__(self, model: keras.Model, batches: list, epochs: int):
        self.step = tf.function(model.train_step, reduce_retracing=True)
        self.batches, self.epochs = batches, epochs
        self.within, self.between = [], []

    def __call__(self) -> None:
        for _ in range(self.epochs):
            start = time.perf_counter()
            for batch in self.batches:
                logs = self.step(batch)
            logs["loss"].numpy()
            self.within.append(time.perf_counter() - start)


class Fit(keras.callbacks.Callback):
    """Epochs of `fit`; `within` collects the seconds of each, `between` those between two.

    Args:
        experiment: whose model is fitted, with the callbacks of train.py.
        batches: a list of batches, or a data set.
        epochs: per call.
        steps_per_execution: for this `fit` only.
    """

    def __init__(self, experiment, batches, epochs: int, steps_per_execution: int):
        super().__init__()
        self.fitted, self.epochs, self.size = experiment.model, epochs, steps_per_execution
        self.train_function = None
        self.data = batches if isinstance(batches, tf.data.Dataset) else in_memory(batches)
        self.within, self.between = [], []
        stop, monitor = StopRequest(), training.make_monitor(experiment)
        experiment.run.write_metadata(experiment.metadata)
        of_method = experiment.settings.method.callbacks(
            training.training_context(experiment, stop)
        )
        others = run_callbacks(experiment, of_method, monitor, stop).all
        self.callbacks = [*others, self]  # last, so that the others' work counts as part of a step

    def __call__(self) -> None:
        self.fitted.steps_per_execution = self.size
        self.fitted.train_function = self.train_function  # depends on steps_per_execution
        self.fitted.fit(
            self.data, epochs=self.epochs, callbacks=self.callbacks, verbose=0, shuffle=False
        )
        self.train_function = self.fitted.train_function

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        if epoch > 0:
            self.between.append(self.began - self.ended)

    def on_train_batch_end(self, batch, logs=None):
        self.ended = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.within.append(self.ended - self.began)


def in_memory(batches: list) -> tf.data.Dataset:
    """A data set of batches that may differ in size."""
    loose = [(None, *part.shape[1:]) for part in batches[0]]

    def widened(*parts):
        return tuple(tf.ensure_shape(part, shape) for part, shape in zip(parts, loose, strict=True))

    sets = [tf.data.Dataset.from_tensors(batch).map(widened) for batch in batches]
    return functools.reduce(lambda one, other: one.concatenate(other), sets)


if __name__ == "__main__":
    main()
