"""Pairs of almost equal images."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.runs.atomic_files import replace_by

SHOWN_PAIRS = 5


class Pair(NamedTuple):
    """Two images, first < second, and the cosine of their embeddings."""

    first: int
    second: int
    similarity: float


def near_duplicates(indices: np.ndarray, similarity: np.ndarray, threshold: float) -> list[Pair]:
    """Pairs of images at least as similar as a threshold, each once.

    Args:
        indices: (N, m) int, the nearest other images of each, as from `nearest_others`.
        similarity: (N, m) float, their cosines.
        threshold: lowest cosine of a pair.

    Returns:
        Pairs, most similar first, then by index.
    """
    row, column = np.nonzero(np.asarray(similarity) >= threshold)
    other = np.asarray(indices)[row, column]
    pairs: dict[tuple[int, int], float] = {}
    for i, j, value in zip(row, other, np.asarray(similarity)[row, column], strict=True):
        pairs.setdefault((int(min(i, j)), int(max(i, j))), float(value))
    found = [Pair(i, j, value) for (i, j), value in pairs.items()]
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def duplicates_path(table: Path) -> Path:
    """Where the pairs are listed that belong to a table."""
    return table.with_suffix(".duplicates.csv")


def write_duplicates(path: Path, pairs: Sequence[Pair], names: Sequence[str]) -> Path:
    """Writes a CSV file with the columns image, other and similarity; names are (N,)."""

    def write(partial: Path) -> None:
        with open(partial, "w", newline="", encoding="utf-8", errors="replace") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "other", "similarity"])
            for pair in pairs:
                images = names[pair.first], names[pair.second]
                writer.writerow([*images, f"{pair.similarity:.4f}"])

    return replace_by(path, write)


def print_duplicates(pairs: Sequence[Pair], names: Sequence[str]) -> None:
    """Prints the most similar pairs."""
    for pair in pairs[:SHOWN_PAIRS]:
        line = f"  {pair.similarity:.4f}  {names[pair.first]}  {names[pair.second]}"
        print(line.encode(errors="replace").decode())  # file names need not be UTF-8
