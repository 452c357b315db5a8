"""Weighted kNN beside the matrix product that it needs: python -m benchmarks.knn

Cases in turns in one process, on unit rows around 10 centres:

- product: `tf.matmul` of all queries and rows in blocks of 1,024 queries, and nothing else;
- and_tf: `weighted_knn`, from arrays to class scores;
- top_k: the same written plainly in TensorFlow, product and `tf.math.top_k`, no votes;
- PyTorch: benchmarks/peers/knn.py, with votes.

Extra memory is the peak over what the process holds with the rows and the libraries in memory, in a
process of its own for each case (Linux).
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from and_tf.evaluation import weighted_knn
from and_tf.search.votes import NEIGHBOURS, TEMPERATURE
from benchmarks.timing import arguments, interleaved, medians, peak_mb, resident_mb, show

QUERY_BLOCK = 1024
CLASSES = 10


def main(argv: list[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--k", type=int, default=NEIGHBOURS)
    parser.add_argument("--sorted", action="store_true", help="rows by class, as folders give them")
    parser.add_argument("--memory_of", metavar="CASE", help="print its extra MB and end")
    options = parser.parse_args(argv)
    if options.memory_of:
        print(_extra_mb(options))
        return
    cases = make_cases(options)
    seconds = interleaved(cases, options.repeats)
    middle = medians(seconds)
    lines = [
        {
            "case": name,
            "s": middle[name],
            "x product": middle[name] / middle["product"],
            "extra MB": memory_of(name, options),
        }
        for name in cases
    ]
    title = (
        f"Weighted kNN, {options.queries:,} queries on {options.rows:,} rows"
        f"{' sorted by class' if options.sorted else ''}, D = {options.dim}, K = {options.k}"
    )
    show(title, lines, options.json, seconds=seconds)


def memory_of(case: str, options: argparse.Namespace) -> float:
    """Extra MB of a case, measured in its own process."""
    command = [sys.executable, "-m", "benchmarks.knn", f"--memory_of={case}"]
    command += [f"--{name}={getattr(options, name)}" for name in ("queries", "rows", "dim", "k")]
    command += ["--sorted"] if options.sorted else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _extra_mb(options):
    small = argparse.Namespace(**vars(options) | {"queries": 8, "rows": 100 * options.k})
    make_cases(small)[options.memory_of]()  # so that libraries and threads do not count
    case = make_cases(options)[options.memory_of]
    before = resident_mb()
    return peak_mb(case) - before


def make_cases(options: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """The functions that are timed, by name; PyTorch's if it is installed."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, CLASSES, options.rows)
    if options.sorted:
        labels.sort()
    centres = draw.normal(size=(CLASSES, options.dim))
    rows = _around(centres[labels], draw)
    queries = _around(centres[draw.integers(0, CLASSES, options.queries)], draw)
    held = tf.constant(rows)
    settings = {"k": options.k, "temperature": TEMPERATURE, "num_classes": CLASSES}
    cases = {
        "product": partial(_in_blocks, _product, queries, tf.transpose(held)),
        "and_tf": partial(weighted_knn, rows, labels, queries, **settings),
        "top_k": partial(_in_blocks, partial(_top_k, k=options.k), queries, held),
    }
    try:
        import torch

        from benchmarks.peers import knn as peer
    except ImportError:
        print("PyTorch is left out: pip install -r requirements-bench.txt")
        return cases
    tensors = [torch.from_numpy(values) for values in (rows, labels, queries)]
    cases["PyTorch"] = partial(peer.weighted_knn, *tensors, **settings)
    return cases


def _around(centres, draw):
    """Random unit rows (N, D), each near its centre."""
    rows = centres + draw.normal(size=centres.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("float32")


def _in_blocks(function, queries, rows):
    for start in range(0, len(queries), QUERY_BLOCK):
        found = function(tf.constant(queries[start : start + QUERY_BLOCK]), rows)
    return found[0].numpy()  # waits for a GPU


@tf.function(reduce_retracing=True)
def _product(queries, columns):
    return tf.matmul(queries, columns)  # faster here than with rows and transpose_b


@tf.function(reduce_retracing=True)
def _top_k(queries, rows, k):
    return tf.math.top_k(tf.matmul(queries, rows, transpose_b=True), k)


if __name__ == "__main__":
    main()
