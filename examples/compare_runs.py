"""How far two runs of the same settings lie apart, such as those of one process and of several.

Usage: python examples/compare_runs.py RUN OTHER
"""

import json
import pathlib
import sys

import numpy as np

LARGEST = 1e-3  # difference to which rounding may grow within a few dozen steps


def losses(run: pathlib.Path) -> np.ndarray:
    """The loss of each epoch."""
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return np.array([record["loss"] for record in records if "loss" in record])


def bank(run: pathlib.Path) -> np.ndarray:
    """The embeddings (N, D) of all images at the end of the run."""
    with np.load(run / "checkpoints" / "last.npz") as arrays:
        return arrays["bank"]


def main() -> int:
    one, other = map(pathlib.Path, sys.argv[1:3])
    of_loss = np.abs(losses(one) - losses(other)).max()
    of_bank = np.abs(bank(one) - bank(other)).max()
    verdict = "equal to" if max(of_loss, of_bank) < LARGEST else "DIFFERENT from"
    print(f"{verdict} one process: the loss within {of_loss:.0e}, embeddings within {of_bank:.0e}")
    return 0 if verdict == "equal to" else 1


if __name__ == "__main__":
    sys.exit(main())
