"""The images that represent each cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from and_tf.search.rows import unit_rows

SHOWN = 40  # per cluster


def representatives(
    embeddings: np.ndarray,
    numbers: np.ndarray,
    duplicates: Iterable[Sequence[int]] = (),
    count: int = SHOWN,
) -> tuple[np.ndarray, ...]:
    """The images nearest the centre of each cluster, one of each group of near-duplicates.

    Args:
        embeddings: (N, D) float.
        numbers: (N,) int, cluster of each image.
        duplicates: groups or pairs of near-duplicates.
        count: at most so many images per cluster.

    Returns:
        For each cluster (R,) int32, nearest first.
    """
    rows = unit_rows(embeddings)
    alike: dict[int, set[int]] = {}
    for group in duplicates:
        for member in group:
            alike.setdefault(int(member), set()).update(int(other) for other in group)
    found = []
    for number in range(int(numbers.max()) + 1):
        members = np.flatnonzero(numbers == number)
        near = rows[members] @ rows[members].mean(axis=0)  # the mean's length is irrelevant
        order = members[np.argsort(-near, kind="stable")]
        found.append(np.array(_first_of_each(order, alike, count), np.int32))
    return tuple(found)


def _first_of_each(order: np.ndarray, alike: dict[int, set[int]], count: int) -> list[int]:
    chosen: list[int] = []
    seen: set[int] = set()
    for image in order.tolist():
        if image not in seen:
            chosen.append(image)
            seen |= alike.get(image, set())
        if len(chosen) == count:
            break
    return chosen
