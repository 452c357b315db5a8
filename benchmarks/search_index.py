"""Searches of many rows, exact and by a saved faiss index: python -m benchmarks.search_index

Unit rows around centres, twice as many centres as the square root of the rows. Queries are rows
that are not in the table, from the same centres. For each number of rows: seconds to build the
index, size of its file, seconds to read table and index again, the median and the slowest of
single queries, and the fraction of the 10 nearest that the index finds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from and_tf.collection.table import fingerprint, write_table
from and_tf.collection.table_reading import read_table
from and_tf.search.nearest import nearest_rows
from and_tf.search.rows import unit_rows
from and_tf.search.saved_index import SavedIndex, build_index, open_index, save_index
from benchmarks.timing import arguments, show

K = 10
SPREAD = 1.0  # norm of the noise relative to that of the centres


def main(argv: list[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", default="10000,100000,1000000", help="numbers of rows")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args(argv)
    lines = [measure(int(rows), options) for rows in options.rows.split(",")]
    show(f"Search, D = {options.dim}, {options.queries} queries", lines, options.json)


def clustered_rows(num_rows: int, dim: int, seed: int = 0) -> np.ndarray:
    """(num_rows, dim) float32 unit rows around random centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(round(2 * num_rows**0.5), dim)).astype(np.float32)
    rows = centres[rng.integers(0, len(centres), num_rows)]
    rows += SPREAD * rng.standard_normal((num_rows, dim), np.float32)
    return unit_rows(rows)


def measure(num_rows: int, options: argparse.Namespace) -> dict[str, object]:
    """A line of the table."""
    all_rows = clustered_rows(num_rows + options.queries, options.dim)
    rows, queries = all_rows[:num_rows], all_rows[num_rows:]
    with tempfile.TemporaryDirectory() as folder:
        table, index = Path(folder, "t.parquet"), Path(folder, "t.faiss")
        writing = seconds(lambda: write_table(table, [f"{i}.jpg" for i in range(num_rows)], rows))
        start = time.perf_counter()
        save_index(index, build_index(rows, fingerprint(rows)))
        building = time.perf_counter() - start
        reading = seconds(lambda: read_table(table))
        opening = seconds(lambda: open_index(index, fingerprint(rows), len(rows)))
        saved = open_index(index, fingerprint(rows), len(rows))
        assert saved is not None
        size = index.stat().st_size
    exact, _ = nearest_rows(rows, queries, K)
    times = [seconds(lambda query=query: saved.search(query[None], K)) for query in queries]
    of_exact = [seconds(lambda: nearest_rows(rows, queries[:1], K)) for _ in range(options.repeats)]
    return {
        "rows": num_rows,
        "write table s": writing,
        "read table s": reading,
        "build s": building,
        "index MB": size / 1e6,
        "open index s": opening,
        "query ms": 1000 * float(np.median(times)),
        "slowest ms": 1000 * max(times),
        "exact ms": 1000 * float(np.median(of_exact)),
        "recall %": recall(saved, queries, exact),
        "told %": saved.recall,
    }


def recall(saved: SavedIndex, queries: np.ndarray, exact: np.ndarray) -> float:
    """Percentage of the exact nearest rows (Q, k) that the index finds."""
    found, _ = saved.search(queries, exact.shape[1])
    return 100.0 * float((found[:, :, None] == exact[:, None]).any(axis=1).mean())


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
