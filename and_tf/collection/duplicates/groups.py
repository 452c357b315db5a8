"""Groups of images that show the same."""

import dataclasses

from and_tf.collection.duplicates.pairs import Pair


@dataclasses.dataclass(frozen=True)
class Group:
    """Images of which one is enough.

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
    """What was found, and by which threshold.

    Attributes:
        pairs: most similar first.
        groups: largest first.
        threshold: lowest cosine at which the encoder calls two images near-duplicates.
        warning: what makes the threshold doubtful; empty if nothing does.
    """

    pairs: list[Pair]
    groups: list[Group]
    threshold: float
    warning: str = ""
