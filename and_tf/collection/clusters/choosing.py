"""Chooses the number of clusters, by how well separated and how reproducible they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from and_tf.collection.clusters.found import Candidate
from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, UserError
from and_tf.evaluation.clustering import clusters, silhouette
from and_tf.runs.atomic_files import replace_by
from and_tf.runs.csv_cells import row_writer
from and_tf.search.rows import unit_rows

FEWEST_IMAGES = 10
SAMPLE = 4000  # images compared, if there are more
EVERY_NUMBER_TO = 12  # above it each candidate is a quarter larger than the one before
REPEATS = 3  # pairs of resampled clusterings
FRACTION = 0.8  # of the images in each
STABLE = 0.75  # adjusted Rand index from which the same clusters count as found again
CLOSE = 0.02  # silhouettes that differ by less count as equal: the more stable number is chosen
MARGIN = 0.05  # by which the silhouette must exceed that of points without clusters


class Choice(NamedTuple):
    """A number of clusters, all candidates that were compared, and the reason in a sentence."""

    number: int
    candidates: tuple[Candidate, ...]
    reason: str


def candidate_numbers(num_images: int) -> list[int]:
    """Numbers of clusters to compare, from 2 to about the square root of half the images."""
    most = max(2, round((num_images / 2) ** 0.5))
    numbers = [k for k in range(2, EVERY_NUMBER_TO + 1) if k <= most]
    while (larger := round(1.25 * numbers[-1])) <= most and numbers[-1] >= EVERY_NUMBER_TO:
        numbers.append(larger)
    return numbers


def numbers_compared(num_images: int) -> list[int]:
    """The numbers of clusters that are compared for a collection of `num_images` images."""
    return candidate_numbers(min(num_images, SAMPLE))


def check_number_of_images(num_images: int) -> None:
    """Refuses to choose a number of clusters for very few images.

    Raises:
        UserError: if there are too few.
    """
    if num_images < FEWEST_IMAGES:
        raise UserError(
            Argument("clusters", "auto"), f" needs at least {FEWEST_IMAGES} images, and there are "
            f"{num_images}: give a number of clusters.",
        )  # fmt: skip


def choose_number(embeddings: np.ndarray, seed: int) -> Choice:
    """Chooses a number of clusters.

    Among the numbers whose clusters are found again when images are resampled, the one with the
    highest silhouette is chosen; if several are equally high, the most stable of them. It counts
    as clear if its silhouette exceeds that of points without clusters that have the same mean and
    covariance.

    Args:
        embeddings: (N, D) float.
        seed: for the sample, the resampling and the initial centres.

    Raises:
        UserError: if there are too few images.

    References: Rousseeuw 1987 (silhouette); Ben-Hur et al. 2002 (stability under resampling);
    Tibshirani et al. 2001 (comparison with points without clusters).
    """
    check_number_of_images(len(embeddings))
    rows = unit_rows(embeddings)
    if len(rows) > SAMPLE:
        rows = rows[np.random.default_rng(seed).choice(len(rows), SAMPLE, replace=False)]
    numbers = numbers_compared(len(embeddings))
    candidates = []
    with progress_bar(len(numbers), "comparing numbers of clusters", "number") as bar:
        for number in numbers:
            candidates.append(_candidate(rows, number, seed))
            bar.update()
    stable = [candidate for candidate in candidates if candidate.stability >= STABLE]
    if not stable:
        best = max(candidates, key=lambda candidate: candidate.stability)
        return Choice(best.num_clusters, tuple(candidates), _unstable(best))
    highest = max(candidate.silhouette for candidate in stable)
    close = [candidate for candidate in stable if candidate.silhouette >= highest - CLOSE]
    best = max(close, key=lambda candidate: (round(candidate.stability, 2), candidate.silhouette))
    without = _silhouette_without_clusters(rows, best.num_clusters, seed)
    return Choice(best.num_clusters, tuple(candidates), _reason(best, without, stable))


def _candidate(rows: np.ndarray, number: int, seed: int) -> Candidate:
    found = clusters(rows, number, seed)
    value = silhouette(rows, found, seed)
    return Candidate(number, -1.0 if value is None else value, stability(rows, number, seed))


def stability(rows: np.ndarray, number: int, seed: int, repeats: int = REPEATS) -> float:
    """Mean adjusted Rand index of pairs of clusterings of random subsets, on the images in both."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(seed)
    size = max(number, round(FRACTION * len(rows)))
    values = []
    for repeat in range(repeats):
        found = np.full((2, len(rows)), -1)
        for side in found:
            part = np.sort(rng.choice(len(rows), size, replace=False))
            side[part] = clusters(rows[part], number, seed + repeat)
        both = (found >= 0).all(axis=0)
        values.append(adjusted_rand_score(*found[:, both]))
    return float(np.mean(values))


def _silhouette_without_clusters(rows: np.ndarray, number: int, seed: int) -> float:
    """The silhouette that k-means finds in normally distributed points of the same covariance."""
    rng = np.random.default_rng(seed)
    mean = rows.mean(axis=0)
    _, scales, axes = np.linalg.svd(rows - mean, full_matrices=False)
    noise = rng.normal(size=(len(rows), len(scales))) * scales / np.sqrt(len(rows))
    points = (mean + noise @ axes).astype(np.float32)
    return silhouette(points, clusters(points, number, seed), seed) or 0.0


def _unstable(best: Candidate) -> str:
    return (
        "There is no clear number of clusters: they change each time some images are left out. "
        f"{best.num_clusters} is the most stable number ({best.stability:.2f} of 1; {STABLE} would "
        "be stable): use the clusters to browse, not as groups."
    )


def _reason(best: Candidate, without: float, stable: Sequence[Candidate]) -> str:
    values = f"silhouette {best.silhouette:.2f}, {without:.2f} for points without clusters"
    if best.silhouette - without < MARGIN:
        return (
            f"There is no clear number of clusters: {best.num_clusters} are separated best, but "
            f"hardly better than for random points ({values}): use them to browse, not as groups."
        )
    return (
        f"{best.num_clusters} clusters are separated best, or within {CLOSE} of the best and are "
        f"the most stable when images are resampled ({values}; adjusted Rand index "
        f"{best.stability:.2f}, where {STABLE} is needed).{_finer(best, stable)}"
    )


def _finer(best: Candidate, stable: Sequence[Candidate]) -> str:
    """Suggests larger numbers: the coarsest clusters are often not all that there is to see."""
    finer = [str(other.num_clusters) for other in stable if other.num_clusters > best.num_clusters]
    return f" Finer and also stable: {', '.join(finer)}." if finer else ""


def print_candidates(candidates: Sequence[Candidate], chosen: int) -> None:
    """Prints the table of the numbers that were compared."""
    print("clusters  silhouette  stability")
    for number, value, stable in candidates:
        mark = "  chosen" if number == chosen else ""
        print(f"{number:8}  {value:10.3f}  {stable:9.3f}{mark}")


def write_candidates(path: Path, candidates: Sequence[Candidate], chosen: int) -> Path:
    """Writes the table as CSV, with the columns clusters, silhouette, stability and chosen."""

    def write(partial: Path) -> None:
        with open(partial, "w", newline="", encoding="utf-8") as file:
            write_row = row_writer(file)
            write_row(["clusters", "silhouette", "stability", "chosen"])
            for number, value, stable in candidates:
                write_row([number, f"{value:.4f}", f"{stable:.4f}", int(number == chosen)])

    return replace_by(path, write)
