"""The loss over the bank and its gradient: python -m benchmarks.bank [--plot docs/bank_growth.png]

Against the loss written out with its (B, N) logits, in TensorFlow and in PyTorch, and against its
limit, the two matrix products that it cannot do without; then how time and memory grow with the
number of rows. Each memory result is of a process of its own.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import arguments, interleaved, medians, peak_mb, resident_mb, show

TEMPERATURE = 0.1
ENTROPY_WEIGHT = 0.2  # Super-AND's


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=256, help="images in a step")
    parser.add_argument("--dim", type=int, default=128, help="length of an embedding")
    parser.add_argument("--rows", type=int, default=1_281_167, help="of the comparison")
    parser.add_argument(
        "--growth", default="10000,100000,1000000,10000000", help="rows, with commas"
    )
    parser.add_argument("--plot", type=Path, help="picture of the growth to write")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a single case, for a process of its own
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    compared = compare(options)
    show(
        f"Loss over a bank of {options.rows:,} rows and its gradient, batch {options.batch}, "
        f"D = {options.dim}; medians of {options.repeats}",
        compared,
    )
    print()
    grown = [in_its_own_process("bank_loss", options, int(n)) for n in options.growth.split(",")]
    growth = [
        {
            "rows": f"{found['rows']:,}",
            "bank, MB": found["rows"] * options.dim * 4 / 1e6,
            "ms": 1e3 * found["seconds"],
            "ns a row and image": 1e9 * found["seconds"] / found["rows"] / options.batch,
            "extra memory, MB": found["extra_mb"],
        }
        for found in grown
    ]
    show("Growth of bank_loss with the bank", growth, options.json, compared=compared)
    if options.plot:
        draw(grown, options)


def compare(options: argparse.Namespace) -> list[dict]:
    """Times of all cases, taken in turns in one process, and their memory, each in its own."""
    names = [
        "products",
        "bank_loss",
        "bank_loss, float16 bank",
        "bank_loss and entropy",
        "written out",
        *(["PyTorch, written out"] if _torch() else []),
    ]
    seconds = medians(interleaved(cases(names, options.rows, options), options.repeats))
    written_out = seconds["written out"]
    return [
        {
            "case": name,
            "ms": 1e3 * seconds[name],
            "of the (B, N) loss": seconds[name] / written_out,
            "extra memory, MB": in_its_own_process(name, options, options.rows)["extra_mb"],
        }
        for name in names
    ]


def in_its_own_process(name: str, options: argparse.Namespace, rows: int) -> dict:
    flags = {"rows": rows, "batch": options.batch, "dim": options.dim, "repeats": options.repeats}
    command = [sys.executable, "-m", "benchmarks.bank", f"--one={name}"]
    command += [f"--{flag}={value}" for flag, value in flags.items()]
    with tempfile.TemporaryFile("w+") as errors:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        errors.seek(0)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def measure(name: str, options: argparse.Namespace) -> dict:
    """Median seconds, and the peak memory in addition to the loaded libraries and the bank."""
    makers = _makers()
    makers[name](Problem(1000, options.batch, options.dim))()  # loads and warms up the libraries
    before = resident_mb()
    case, seconds = makers[name](Problem(options.rows, options.batch, options.dim)), {}
    peak = peak_mb(lambda: seconds.update(interleaved({name: case}, options.repeats)))
    bytes_per_value = 2 if "float16" in name else 4
    extra = peak - before - bytes_per_value * options.rows * options.dim / 1e6
    return {"rows": options.rows, "seconds": medians(seconds)[name], "extra_mb": extra}


def cases(names: list[str], rows: int, options: argparse.Namespace) -> dict:
    """Functions without arguments that compute per-image losses and their gradient."""
    makers, problem = _makers(), Problem(rows, options.batch, options.dim)
    return {name: makers[name](problem) for name in names}


def _makers():
    return {
        "products": _products,
        "bank_loss": _bank_loss,
        "bank_loss, float16 bank": _bank_loss_float16,
        "bank_loss and entropy": _bank_loss_and_entropy,
        "written out": _written_out,
        "PyTorch, written out": _torch_written_out,
    }


class Problem:
    """A bank of random unit rows, a batch, and a neighbour for every other image."""

    def __init__(self, rows: int, batch: int, dim: int):
        generator = np.random.default_rng(0)
        self.shape = rows, dim
        self.embeddings = _unit_rows(generator, batch, dim)
        self.indices = generator.choice(rows, batch, replace=rows < batch)
        self.neighbours = generator.integers(0, rows, (batch, 1))
        self.is_anchor = np.arange(batch) % 2 == 0

    @functools.cached_property
    def variable(self):
        """The bank as in training: a variable, which is filled by scatters, part by part."""
        import tensorflow as tf

        return self._filled(tf.Variable(tf.zeros(self.shape)))

    @functools.cached_property
    def variable_float16(self):
        """The same, stored in float16."""
        import tensorflow as tf

        return self._filled(tf.Variable(tf.zeros(self.shape, tf.float16)))

    def _filled(self, bank):
        import tensorflow as tf

        for start, part in self._parts():
            part = tf.cast(part, bank.dtype)
            bank.scatter_update(tf.IndexedSlices(part, np.arange(start, start + len(part))))
        return bank

    @functools.cached_property
    def array(self) -> np.ndarray:
        array = np.empty(self.shape, np.float32)
        for start, part in self._parts():
            array[start : start + len(part)] = part
        return array

    def _parts(self):
        generator = np.random.default_rng(1)
        for start in range(0, self.shape[0], 10_000):
            yield start, _unit_rows(generator, min(10_000, self.shape[0] - start), self.shape[1])


def _unit_rows(generator, rows: int, dim: int) -> np.ndarray:
    values = generator.standard_normal((rows, dim), np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _products(problem):
    """The two matrix products that every exact method needs, in blocks: the lower limit."""
    import tensorflow as tf

    from and_tf.bank.rows import read_rows
    from and_tf.bank.softmax import BANK_BLOCK

    bank, queries = problem.variable, tf.constant(problem.embeddings)
    size = min(BANK_BLOCK, bank.shape[0])

    @tf.function
    def run(queries):
        total = tf.zeros_like(queries)
        for start in tf.range(0, bank.shape[0] - size + 1, size):
            block = read_rows(bank, start + tf.range(size))
            total += tf.matmul(tf.matmul(queries, block, transpose_b=True), block)
        return total

    return lambda: run(queries).numpy()


def _bank_loss(problem):
    return _bank_loss_of(problem, problem.variable)


def _bank_loss_float16(problem):
    return _bank_loss_of(problem, problem.variable_float16)


def _bank_loss_of(problem, bank):
    from and_tf.bank.softmax import BANK_BLOCK
    from and_tf.methods.anchor_neighbourhoods.loss import bank_loss

    def loss(x, *rest):
        return bank_loss(x, bank, *rest, TEMPERATURE, BANK_BLOCK)

    return _with_gradient(problem, loss)


def _bank_loss_and_entropy(problem):
    """With the optional unification entropy, from the same pass."""
    import tensorflow as tf

    from and_tf.bank.softmax import BANK_BLOCK
    from and_tf.methods.anchor_neighbourhoods.loss import bank_loss_and_gradient

    bank = problem.variable
    rest = [tf.constant(x) for x in (problem.indices, problem.neighbours, problem.is_anchor)]

    @tf.function
    def run(embeddings):
        settings = (TEMPERATURE, BANK_BLOCK)
        return bank_loss_and_gradient(
            embeddings, bank, *rest, *settings, entropy_weight=ENTROPY_WEIGHT
        )

    embeddings = tf.constant(problem.embeddings)
    return lambda: [value.numpy() for value in run(embeddings)]


def _written_out(problem):
    import tensorflow as tf

    from and_tf.methods.anchor_neighbourhoods.loss import neighbourhood_loss

    bank = problem.variable

    def loss(x, *rest):
        logits = tf.matmul(x, bank, transpose_b=True) / TEMPERATURE  # (B, N)
        return neighbourhood_loss(logits, *rest)

    return _with_gradient(problem, loss)


def _with_gradient(problem, loss):
    import tensorflow as tf

    rest = [tf.constant(x) for x in (problem.indices, problem.neighbours, problem.is_anchor)]

    @tf.function
    def run(embeddings):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            losses = loss(embeddings, *rest)
        return losses, tape.gradient(losses, embeddings)

    embeddings = tf.constant(problem.embeddings)
    return lambda: [value.numpy() for value in run(embeddings)]


def _torch_written_out(problem):
    from benchmarks.peers.bank import loss_and_gradient

    return loss_and_gradient(problem, TEMPERATURE)


def _torch():
    try:
        import torch
    except ImportError:
        print("PyTorch is left out: pip install -r requirements-bench.txt", file=sys.stderr)
        return None
    return torch


def draw(grown: list[dict], options: argparse.Namespace) -> None:
    """Time and extra memory over the number of rows, both on logarithmic axes."""
    from matplotlib.figure import Figure

    rows = [found["rows"] for found in grown]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    time, memory = figure.subplots(1, 2)
    time.loglog(rows, [1e3 * found["seconds"] for found in grown], "o-")
    time.set(xlabel="rows of the bank", ylabel="ms", title="loss and gradient")
    written_out = [4 * options.batch * n / 1e6 for n in rows]
    memory.loglog(rows, [max(found["extra_mb"], 0.1) for found in grown], "o-", label="measured")
    memory.loglog(rows, written_out, "--", label="one (B, N) array")
    memory.loglog(rows, [4 * options.dim * n / 1e6 for n in rows], ":", label="the bank itself")
    memory.set(xlabel="rows of the bank", ylabel="MB", title="memory above the bank")
    memory.legend()
    for axes in (time, memory):
        axes.grid(alpha=0.3)
    figure.suptitle(f"bank_loss, batch {options.batch}, D = {options.dim}")
    figure.savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
