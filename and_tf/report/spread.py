"""The spread of the embeddings: whether they have collapsed or lie close together."""

import dataclasses

import numpy as np

from and_tf.encoders.stages import EMBEDDING
from and_tf.evaluation.label_free import effective_rank, uniformity

FLAT = -0.5  # uniformity above this: nearly all embeddings are equal
CLOSE = -1.5  # and above this they lie close together; trained on digits or CIFAR-10, below -3
NARROW = 0.1  # fraction of the possible effective rank below which few directions are used


@dataclasses.dataclass(frozen=True)
class Spread:
    """How far embeddings spread.

    Attributes:
        images: n, how many were embedded.
        dim: D, length of an embedding.
        uniformity: 0 (all equal) down to about -4.
        effective_rank: 1 to min(n, D).
    """

    images: int
    dim: int
    uniformity: float
    effective_rank: float

    @property
    def is_flat(self) -> bool:
        """Whether nearly all embeddings are equal, by uniformity."""
        return self.uniformity > FLAT

    @property
    def is_line(self) -> bool:
        """Whether the embeddings use a single direction, by effective rank."""
        return self.effective_rank < min(2, self.dim)

    @property
    def is_point(self) -> bool:
        """Whether the embeddings are a single point, by both measures."""
        return self.is_flat and self.is_line

    @property
    def is_narrow(self) -> bool:
        """Whether the embeddings lie close together, or in few directions."""
        is_close = self.uniformity > CLOSE or self.is_line
        return is_close or self.effective_rank < NARROW * self.possible_rank

    @property
    def possible_rank(self) -> int:
        """The effective rank of embeddings that fill all directions equally."""
        return min(self.images, self.dim)


def measure_spread(embeddings: np.ndarray) -> Spread:
    """The spread of embeddings (n, D) of unit length."""
    return Spread(
        images=len(embeddings),
        dim=embeddings.shape[1],
        uniformity=uniformity(embeddings),
        effective_rank=effective_rank(embeddings),
    )


def describe_rank(spread: Spread, what: str = f"The embeddings (layer {EMBEDDING})") -> str:
    """The effective rank as the beginning of a sentence."""
    return (
        f"{what} spread over {spread.effective_rank:.0f} of {spread.possible_rank} directions "
        "(effective rank)"
    )


def describe_spread(spread: Spread, warn: bool = True) -> str:
    """Effective rank and uniformity in a sentence.

    Args:
        spread: of the embeddings.
        warn: add what to do if they lie close together.
    """
    sentence = (
        f"{describe_rank(spread)}; uniformity is {spread.uniformity:.2f} (0: all equal; near "
        "-4: even)."
    )
    if spread.is_narrow and warn:
        sentence += (
            " They are close together, as for images that hardly differ, or after too little "
            "training: train longer, or try another learning rate."
        )
    return sentence
