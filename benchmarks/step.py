"""Images per second of a training step, beside PyTorch: python -m benchmarks.step

On fixed random images of 32 x 32 and a bank of `--rows` x 128, cases in turns in one process:

- bare: forward, backward, optimiser and bank update in one `tf.function`;
- fit: steps of `AND.fit` on batches in memory, with metric, check for NaN and Keras's loop;
- fit, XLA and fit, bfloat16: the same with `jit_compile=True`, and with `mixed_bfloat16`;
- PyTorch: benchmarks/peers/step.py, channels-last; and with `torch.compile`.

Not in turns, since TensorFlow reads the setting when it is imported: fit without oneDNN, in another
process. What callbacks and input add is measured by benchmarks/fit.py.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import and_tf
from and_tf.bank.rows import read_rows
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss
from benchmarks.flops import gflop_per_image
from benchmarks.timing import arguments, interleaved, show

CASES = ("bare", "fit", "fit, XLA", "fit, bfloat16", "PyTorch", "PyTorch, compiled")
SIDE, DIM = 32, 128


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--encoders", default="alexnet,resnet_small,resnet18")
    parser.add_argument("--cases", default="/".join(CASES), help="separated by /")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rows", type=int, default=50_000, help="of the bank")
    parser.add_argument("--steps", type=int, default=2, help="in a measurement")
    parser.add_argument("--onednn_off", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    rows, seconds = [], {}
    for name in options.encoders.split(","):
        seconds[name] = measure(name, options)
        rows += table(name, options, **seconds[name])
    title = f"Training step, batch {options.batch}, bank of {options.rows:,} x {DIM}, float32"
    show(title, rows, options.json, seconds=seconds)


def measure(name: str, options: argparse.Namespace) -> dict:
    """Seconds a step by case, of each case's first call, and of a product of 2048 x 2048."""
    wanted = options.cases.split("/")
    if unknown := set(wanted) - set(CASES):
        raise SystemExit(f"Unknown cases: {', '.join(unknown)}. Known: {', '.join(CASES)}.")
    steps = {case: maker(name, options) for case, maker in _makers().items() if case in wanted}
    first = {}
    cases = {case: _noting_first(case, step, first) for case, step in steps.items()}
    cases["product"] = _product()
    found = interleaved(
        {
            case: functools.partial(_repeat, step, 1 if case == "product" else options.steps)
            for case, step in cases.items()
        },
        options.repeats,
    )
    product = found.pop("product")
    found = {case: [s / options.steps for s in values] for case, values in found.items()}
    for step in steps.values():
        if isinstance(step, RunningFit):
            step.end()
    if options.onednn_off:
        found["fit without oneDNN"] = _without_onednn(name, options)
    return {"steps": found, "first": first, "product": product}


def table(
    name: str, options: argparse.Namespace, steps: dict, first: dict, product: list[float]
) -> list[dict]:
    """A row a case; ratios are medians over the turns, in which both cases were measured."""
    gflop = gflop_per_image(and_tf.encoders.build_encoder(name, (SIDE, SIDE, 3), DIM), options.rows)
    peak = 2 * 2.048**3 / statistics.median(product)  # GFLOP/s
    rows = []
    for case, values in steps.items():
        rate = options.batch / statistics.median(values)
        rows.append(
            {
                "encoder": name,
                "case": case,
                "images/s": rate,
                "ms a step": 1000 * statistics.median(values),
                "of PyTorch's": _ratio(steps.get("PyTorch"), values),
                "over bare, %": _percent_over(values, steps.get("bare")),
                "first call, s": first.get(case, ""),
                "GFLOP an image": gflop,
                "of the machine's matmul, %": 100 * rate * gflop / peak,
            }
        )
    return rows


def _ratio(one: list[float] | None, other: list[float]) -> float | str:
    """Median of `one` over `other`, by turn where both were measured in turns."""
    if one is None:
        return ""
    if len(one) != len(other):
        return statistics.median(one) / statistics.median(other)
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _percent_over(values: list[float], base: list[float] | None) -> float | str:
    return "" if base is None else 100 * (_ratio(values, base) - 1)


def _makers() -> dict[str, Callable]:
    return {
        "bare": bare_step,
        "fit": fit_step,
        "fit, XLA": functools.partial(fit_step, jit_compile=True),
        "fit, bfloat16": functools.partial(fit_step, policy="mixed_bfloat16"),
        "PyTorch": _torch_step,
        "PyTorch, compiled": functools.partial(_torch_step, is_compiled=True),
    }


def bare_step(name: str, options: argparse.Namespace) -> Callable[[], object]:
    """The step as one writes it without Keras's loop: what `fit` is measured against."""
    model = _model(name, options)
    images, indices = (tf.constant(array) for array in _batch(options))

    @tf.function
    def step():
        neighbours = read_rows(model.neighbours.value, indices)  # (B, 1)
        is_anchor = read_rows(model.is_anchor.value, indices)  # (B,)
        with tf.GradientTape() as tape:
            embeddings = model.encoder(images, training=True)  # (B, D)
            losses = bank_loss(  # (B,)
                embeddings,
                model.bank.rows,
                indices,
                neighbours,
                is_anchor,
                model.bank.temperature,
                block_size=options.rows,
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.encoder.trainable_variables)
        model.optimizer.apply(gradients, model.encoder.trainable_variables)
        model.bank.update(indices, embeddings)
        return loss

    return lambda: step().numpy()


def fit_step(
    name: str, options: argparse.Namespace, jit_compile: bool = False, policy: str = "float32"
) -> "RunningFit":
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    model = _model(name, options, jit_compile)
    keras.mixed_precision.set_global_policy(before)
    # Batches of unknown size, as in training, where the last of an epoch may be smaller.
    batches = tf.data.Dataset.from_tensor_slices(_batch(options)).batch(options.batch)
    return RunningFit(model, batches.repeat(1 << 40))


class RunningFit:
    """One `fit` in a thread of its own, which does a step a call and waits in between.

    So the start of `fit`, which a real one spreads over all its steps, is in none of them.
    """

    def __init__(self, model: keras.Model, batches: tf.data.Dataset):
        self.model = model
        self._go, self._done, self.error = threading.Semaphore(0), threading.Semaphore(0), None
        callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: self._go.acquire(),
            on_train_batch_end=lambda batch, logs: self._done.release(),
        )
        self._thread = threading.Thread(target=self._run, args=(batches, callback), daemon=True)
        self._thread.start()

    def _run(self, batches, callback):
        try:
            self.model.fit(batches, epochs=1 << 30, callbacks=[callback], verbose=0, shuffle=False)
        except Exception as error:  # for the thread that waits
            self.error = error
            self._done.release()

    def __call__(self) -> None:
        self._go.release()
        self._done.acquire()
        if self.error:
            raise self.error

    def end(self) -> None:
        self.model.stop_training = True
        self()
        self._thread.join()


def _model(name: str, options: argparse.Namespace, jit_compile: bool = False) -> and_tf.AND:
    """A model in the midst of training: half of the images are anchors."""
    encoder = and_tf.encoders.build_encoder(name, (SIDE, SIDE, 3), DIM, seed=0)
    model = and_tf.AND(encoder, num_samples=options.rows, seed=0)
    rng = np.random.default_rng(0)
    model.neighbours.assign(rng.integers(options.rows, size=(options.rows, 1)))
    model.is_anchor.assign(rng.random(options.rows) < 0.5)
    optimizer = and_tf.TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def _batch(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """(images (B, S, S, 3) float32 in 0..255, indices (B,) int64)."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (options.batch, SIDE, SIDE, 3)).astype(np.float32)
    return images, rng.permutation(options.rows)[: options.batch]


def _torch_step(
    name: str, options: argparse.Namespace, is_compiled: bool = False
) -> Callable[[], float]:
    try:
        from benchmarks.peers.step import training_step
    except ImportError as error:
        raise SystemExit(
            "The comparison needs PyTorch: pip install -r requirements-bench.txt, or leave its "
            "cases out: --cases=bare/fit."
        ) from error
    return training_step(name, options.batch, options.rows, is_compiled)


def _product() -> Callable[[], object]:
    """A matrix product of 2048 x 2048 x 2048 in float32: what the machine can do."""
    one, other = tf.random.normal((2048, 2048)), tf.random.normal((2048, 2048))
    return lambda: tf.matmul(one, other).numpy()


def _noting_first(case: str, step: Callable, first: dict[str, float]) -> Callable:
    """The step, whose first call, which compiles, is timed into `first[case]`."""

    def call():
        start = time.perf_counter()
        step()
        first.setdefault(case, time.perf_counter() - start)

    return call


def _repeat(step: Callable, times: int) -> None:
    for _ in range(times):
        step()


def _without_onednn(name: str, options: argparse.Namespace) -> list[float]:
    """`fit` in a process of its own, since TensorFlow reads the setting when it is imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, "-m", "benchmarks.step", f"--encoders={name}", "--cases=fit"]
        for flag in ("batch", "rows", "steps", "repeats"):
            command.append(f"--{flag}={getattr(options, flag)}")
        subprocess.run(
            [*command, "--no-onednn_off", f"--json={path}"],
            check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        )  # fmt: skip
        return json.loads(path.read_text())["seconds"][name]["steps"]["fit"]


if __name__ == "__main__":
    main()
