"""Peak memory of a run by phase: python -m benchmarks.memory --flags=--flagfile=configs/cifar10.cfg

Each phase is what train.py does, on the whole data set; the steps are as many as are asked for.
The resident set of the process is what the kernel counts (Linux), its peak set back before a phase.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras

from and_tf.cli.train import read_settings
from and_tf.export.run import export_finished_run
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.search.neighbourhoods import discover
from and_tf.training import loop as training
from and_tf.training import start
from and_tf.training.build import build_experiment, start_devices
from and_tf.training.fitting import training_input
from benchmarks.processes import user_errors
from benchmarks.timing import arguments, peak_mb, resident_mb, show


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--flags", default="--flagfile=configs/digits.cfg", help="of train.py")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, user_errors():
        rows = measure(options.flags.split(), options.steps, Path(folder) / "run")
    show(f"Resident memory by phase: {' '.join(options.flags.split())}", rows, options.json)


def measure(flags: list[str], steps: int, folder: Path) -> list[dict]:
    """A row per phase, in MB."""
    rows = []

    def phase(name: str, action: Callable):
        results = []
        peak = peak_mb(lambda: results.append(action()))
        rows.append({"phase": name, "peak, MB": peak, "after, MB": resident_mb()})
        return results[0]

    settings = read_settings(flags)
    start_devices(settings)
    run = Workdir(folder)
    phase("TensorFlow loaded", lambda: None)
    experiment = phase("images read, model built", lambda: build_experiment(settings, run))
    monitor = training.make_monitor(experiment)
    folder.mkdir()
    phase("begin, with kNN on raw pixels", lambda: start.begin_run(experiment, monitor))
    phase(f"{steps} steps", lambda: _train(experiment, steps))
    rows_of_bank = experiment.model.image_embeddings()
    phase("discovery", lambda: discover(rows_of_bank, temperature=experiment.model.temperature))
    phase("evaluation", lambda: monitor.measure(experiment.model))
    state = checkpoint.training_state(experiment.model) | monitor.state
    save = functools.partial(checkpoint.save, run.checkpoint, metadata={})
    phase("checkpoint", lambda: save(arrays=checkpoint.values(state)))
    phase("export", lambda: training.finish_run(experiment, 0.0, export_finished_run))
    return rows


def _train(experiment, steps: int) -> None:
    stop = _StopAfter(steps)
    experiment.model.fit(training_input(experiment), callbacks=[stop], verbose=0, shuffle=False)


class _StopAfter(keras.callbacks.Callback):
    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = batch + 1 >= self.steps


if __name__ == "__main__":
    main()
