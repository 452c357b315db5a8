"""Discovery against the matrix product that it needs, a faiss index and plain PyTorch.

python -m benchmarks.discovery [--rows 12500,25000,50000 --dim 128 --neighbours 1 --repeats 3
    --cases "product/discover/faiss index/PyTorch" --json FILE]

The yardstick is TensorFlow's product of all rows with all rows, N x N, in stripes of 512 rows and
nothing else. Rows are drawn around 1,000 centres, as embeddings lie. Extra memory is the peak over
what the process holds with the rows in memory, in a process of its own (Linux).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from and_tf.search.neighbourhoods import discover, neighbour_overlap
from and_tf.search.neighbourhoods_by_index import discover_by_index
from benchmarks import timing

CASES = ("product", "discover", "faiss index", "PyTorch")
ROW_BLOCK = 512
WARM_UP_ROWS = 2000


def main(argv: list[str] | None = None) -> None:
    parser = timing.arguments(__doc__)
    parser.set_defaults(repeats=3)
    parser.add_argument("--rows", default="12500,25000,50000", help="N, one or several")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--neighbours", type=int, default=1, help="k")
    parser.add_argument("--cases", default="/".join(CASES), help="separated by /")
    parser.add_argument("--memory_of", help="print the extra MB of one case and end")
    options = parser.parse_args(argv)
    sizes = sorted(int(number) for number in options.rows.split(","))
    rows = clustered_rows(sizes[-1], options.dim)
    if options.memory_of:
        print(_peak_of(options.memory_of, rows, options.neighbours))
        return
    wanted = set(options.cases.split("/")) | {"product", "discover"}
    table, seconds = [], {}
    for size in sizes:
        cases = {
            name: run
            for name, run in _cases(rows[:size], options.neighbours).items()
            if name in wanted
        }
        lines, seconds[size] = _measure(cases, size, options.repeats)
        table += lines
    for line in table:
        is_measured = line["rows"] == sizes[-1] and line["case"] != "product"
        line["extra MB"] = extra_megabytes(line["case"], sizes[-1], options) if is_measured else "-"
    title = f"Discovery, D = {options.dim}, k = {options.neighbours}, float32"
    timing.show(title, table, options.json, seconds=seconds, repeats=options.repeats)


def clustered_rows(num_rows: int, dim: int, seed: int = 0) -> np.ndarray:
    """(N, D) float32 of length 1, around 1,000 centres."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(1000, dim)).astype("float32")[draw.integers(0, 1000, num_rows)]
    rows += draw.normal(size=rows.shape).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _cases(rows: np.ndarray, k: int) -> dict[str, Callable]:
    """The functions that are timed; all but the product return (entropy, neighbours)."""
    cases = {
        "product": partial(_product, tf.constant(rows), tf.transpose(tf.constant(rows))),
        "discover": partial(discover, rows, k),
    }
    try:
        import faiss  # noqa: F401

        cases["faiss index"] = partial(discover_by_index, rows, k)
    except ImportError:
        print("Without faiss: pip install -r requirements-bench.txt")
    try:
        import torch

        from benchmarks.peers import discovery as peer

        cases["PyTorch"] = partial(peer.discover, torch.from_numpy(rows), k)
    except ImportError:
        print("Without PyTorch: pip install -r requirements-bench.txt")
    return cases


def _product(rows: tf.Tensor, columns: tf.Tensor) -> None:
    for start in range(0, len(rows), ROW_BLOCK):
        last = _multiply(rows[start : start + ROW_BLOCK], columns)
    last[0, 0].numpy()  # waits for a GPU


@tf.function(reduce_retracing=True)
def _multiply(queries: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    return tf.matmul(queries, columns)  # faster here than with rows and transpose_b


def _measure(
    cases: dict[str, Callable], num_rows: int, repeats: int
) -> tuple[list[dict], dict[str, list[float]]]:
    """Lines of the table for one N, and the individual timings."""
    found = {}

    def kept(name):
        found[name] = cases[name]()

    seconds = timing.interleaved({name: partial(kept, name) for name in cases}, repeats)
    medians = timing.medians(seconds)
    lines = []
    for name, value in medians.items():
        line = {
            "rows": num_rows,
            "case": name,
            "s": value,
            "x product": value / medians["product"],
        }
        line |= {"neighbours agree %": "-", "entropy differs by": "-"}
        if name not in ("product", "discover"):
            entropy, neighbours = (np.asarray(values) for values in found[name])
            line["neighbours agree %"] = neighbour_overlap(found["discover"].neighbours, neighbours)
            line["entropy differs by"] = float(np.abs(entropy - found["discover"].entropy).mean())
        lines.append(line)
    return lines, seconds


def extra_megabytes(case: str, num_rows: int, options: argparse.Namespace) -> float:
    """Peak memory of a case in addition to the rows, measured in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.discovery", "--memory_of", case]
    command += [f"--rows={num_rows}", f"--dim={options.dim}", f"--neighbours={options.neighbours}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _peak_of(case: str, rows: np.ndarray, k: int) -> float:
    _cases(rows[:WARM_UP_ROWS], k)[case]()  # so that libraries and threads do not count
    run = _cases(rows, k)[case]
    before = timing.resident_mb()
    return timing.peak_mb(run) - before


if __name__ == "__main__":
    main()
