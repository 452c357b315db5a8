"""Groups of near-duplicates, and which image of each to keep."""

import dataclasses
import functools
from collections.abc import Callable, Sequence, Set

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.duplicates.pairs import REASONS, Pair, agrees, components, find_pairs
from and_tf.collection.pictures import Pictures
from and_tf.data.progress import progress_bar
from and_tf.search.rows import unit_rows

WARNED_FRACTION = 0.1  # refused pairs as similar as a typical copy, per copy; more cause a warning


@dataclasses.dataclass(frozen=True)
class Group:
    """Near-duplicates, of which one is enough.

    Attributes:
        members: indices of the images, ascending.
        keep: the member to keep.
        reason: how they were found: `identical`, `perceptual hash` or `encoder`, the weakest of
            the links that hold the group together.
        similarity: lowest cosine between two members.
    """

    members: tuple[int, ...]
    keep: int
    reason: str
    similarity: float


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """The near-duplicates that were found, and the threshold.

    Attributes:
        pairs: most similar first.
        groups: largest first.
        threshold: if given, the lowest cosine at which two images are near-duplicates by the
            encoder alone; otherwise the lowest at which the encoder proposes a pair.
        warning: why the threshold is doubtful; empty if it is not.
    """

    pairs: list[Pair]
    groups: list[Group]
    threshold: float
    warning: str = ""

    def group_numbers(self, count: int) -> np.ndarray:
        """(count,) int32, the number of each image's group, from 0; -1 for none."""
        numbers = np.full(count, -1, np.int32)
        for number, group in enumerate(self.groups):
            numbers[list(group.members)] = number
        return numbers


def find_duplicates(collection: Collection, pictures: Pictures, threshold: float = 0) -> Duplicates:
    """Near-duplicates of a collection; see `find_pairs` for the arguments."""
    pairs, used, refused = find_pairs(collection, pictures, threshold)
    groups = group_pairs(collection, pictures, pairs, used if threshold > 0 else None)
    return Duplicates(pairs, groups, used, _warning(pairs, refused, is_given=threshold > 0))


def group_pairs(
    collection: Collection, pictures: Pictures, pairs: Sequence[Pair], threshold: float | None
) -> list[Group]:
    """Groups in which every two members are near-duplicates (complete linkage).

    Pairs link images into chains whose ends may differ. So the best image of a chain is chosen,
    those that agree with it and with one another form a group, and the rest are grouped again:
    every superfluous image is a near-duplicate of the one that is kept.

    Args:
        collection, pictures: the images.
        pairs: near-duplicates, which link the images.
        threshold: cosine from which images agree whatever their pixels; None to compare pixels.

    Returns:
        Groups, largest first, then by their first member.
    """
    rank = _ranks(collection, pictures)
    waiting = [Pair(*pair) for pair in pairs]
    linked = {(pair.first, pair.second) for pair in waiting}
    groups = []
    while waiting:
        edges = np.array([pair[:2] for pair in waiting])
        numbers = components(len(collection), edges)
        of_keep = _best(numbers, rank)[numbers]  # (N,): the best image of each one's chain
        rows = np.unique(edges)
        rows = rows[rows != of_keep[rows]]
        is_member = np.zeros(len(collection), bool)
        agree = functools.partial(_agree, collection, pictures, linked, threshold)
        keeps = of_keep[rows]  # also those that no image agrees with: they are done
        rows = rows[agree(np.stack([rows, keeps], axis=1))]
        is_member[_agreeing(rows, of_keep, rank, pictures.hashes, agree)] = True
        is_member[keeps] = True
        groups += _groups(collection, np.flatnonzero(is_member), of_keep, waiting)
        waiting = [p for p in waiting if not (is_member[p.first] or is_member[p.second])]
    groups = [group for group in groups if len(group.members) > 1]
    return sorted(groups, key=lambda group: (-len(group.members), group.members))


def _ranks(collection: Collection, pictures: Pictures) -> np.ndarray:
    """(N,) int, 0 for the image most worth keeping, by pixels, sharpness, bytes, then name."""
    source = collection.source
    sizes = getattr(source, "sizes", None)
    names = np.array(collection.names or [f"{row:012}" for row in range(len(source))], object)
    by_name = sorted(range(len(source)), key=lambda row: (len(names[row]), names[row]))
    place = np.empty(len(source), int)
    place[by_name] = np.arange(len(source))
    pixels = pictures.shapes.astype(np.int64).prod(axis=1)
    weight = np.zeros(len(source)) if sizes is None else np.asarray(sizes)
    order = np.lexsort((place, -weight, -np.round(20 * pictures.sharpness), -pixels))
    rank = np.empty(len(source), int)
    rank[order] = np.arange(len(source))
    return rank


def _best(numbers: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The image with the lowest rank in each component."""
    order = np.lexsort((rank, numbers))
    first = np.unique(numbers[order], return_index=True)[1]
    return order[first]


def _agreeing(
    rows: np.ndarray,
    of_keep: np.ndarray,
    rank: np.ndarray,
    hashes: np.ndarray,
    agree: Callable[[np.ndarray], np.ndarray],
) -> list[int]:
    """Those of `rows` that agree with all images taken into their group before them.

    The best come first. Among images with equal hashes, one represents all, so that a picture that
    occurs a thousand times is not compared with itself half a million times.
    """
    waiting: dict[int, list[int]] = {}
    for row in sorted(rows.tolist(), key=lambda row: rank[row], reverse=True):
        waiting.setdefault(int(of_keep[row]), []).append(row)
    keys = {row: hashes[row].tobytes() for row in [*rows.tolist(), *waiting]}
    members = {keep: {keys[keep]: keep} for keep in waiting}  # by hash; all agree with the keep
    taken = []
    with progress_bar(len(rows), "comparing within groups") as bar:
        while any(waiting.values()):  # one image of each group at a time
            asked = {keep: others.pop() for keep, others in waiting.items() if others}
            pairs = [
                (row, other)
                for keep, row in asked.items()
                if keys[row] not in members[keep]
                for other in members[keep].values()
                if other != keep
            ]
            found = agree(np.array(pairs, int).reshape(-1, 2))
            strangers = {row for (row, _), is_same in zip(pairs, found, strict=True) if not is_same}
            for keep, row in asked.items():
                if row not in strangers:
                    taken.append(row)
                    members[keep].setdefault(keys[row], row)
            bar.update(len(asked))
    return taken


def _agree(
    collection: Collection,
    pictures: Pictures,
    linked: Set[tuple[int, int]],
    threshold: float | None,
    pairs: np.ndarray,
) -> np.ndarray:
    """Which pairs (P, 2) of images are near-duplicates, (P,) bool; those in `linked` are."""
    pairs = np.sort(pairs, axis=1)
    found = np.array([tuple(pair) in linked for pair in pairs.tolist()], bool)
    if threshold is not None:
        found |= _cosines(collection, *pairs.T) >= threshold
    found[~found] = agrees(pictures, pairs[~found])
    return found


def _groups(
    collection: Collection, members: np.ndarray, of_keep: np.ndarray, pairs: Sequence[Pair]
) -> list[Group]:
    weakest: dict[int, int] = {}
    is_member = np.zeros(len(of_keep), bool)
    is_member[members] = True
    for pair in pairs:
        keep = int(of_keep[pair.first])
        if is_member[pair.first] and is_member[pair.second]:
            weakest[keep] = max(weakest.get(keep, 0), REASONS.index(pair.reason))
    groups = []
    order = members[np.argsort(of_keep[members], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(of_keep[order])) + 1):
        keep = int(of_keep[rows[0]])
        unit = unit_rows(collection.embeddings[rows])
        lowest = float(np.clip((unit @ unit.T).min(), -1, 1))
        reason = REASONS[weakest.get(keep, len(REASONS) - 1)]
        groups.append(Group(tuple(sorted(rows.tolist())), keep, reason, lowest))
    return groups


def _cosines(collection: Collection, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    first, second = (unit_rows(collection.embeddings[part]) for part in (rows, others))
    return np.einsum("pd,pd->p", first, second)


def _warning(pairs: Sequence[Pair], refused: np.ndarray, is_given: bool) -> str:
    """Why a threshold is doubtful: different photos are as similar as copies."""
    if is_given:
        if not len(refused):
            return ""
        return (
            f"{len(refused):,} of the pairs above the threshold show different pictures, judging "
            "by their pixels: leave the threshold to the program, or raise it."
        )
    if not pairs:
        return ""
    typical = float(np.median([pair.similarity for pair in pairs]))
    confused = int((refused >= typical).sum())
    if confused <= WARNED_FRACTION * len(pairs):
        return ""
    return (
        f"{confused:,} pairs of different photos are as similar to this encoder as the typical "
        f"near-duplicate (cosine {typical:.3f}): only pairs whose pixels agree are listed, and "
        "no threshold would separate them. A better encoder finds more."
    )
