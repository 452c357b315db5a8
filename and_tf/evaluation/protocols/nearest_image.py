"""The class of the single nearest reference image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from and_tf.evaluation.protocols.protocol import Outcome, Protocol, ProtocolInput

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages


@dataclasses.dataclass(frozen=True)
class NearestImage(Protocol):
    """Nearest image."""

    summary = "the single nearest image"
    takes_bank = True
    metric_titles: ClassVar = {"top1": "top-1 %"}

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """One outcome: the class of the nearest reference image."""
        from and_tf.evaluation.knn import nearest_neighbour, ranking_accuracy

        predictions = nearest_neighbour(
            given.reference,
            given.images.labels,
            given.queries,
            given.memory_bytes // 4,
            progress=True,
        )
        row = ranking_accuracy(predictions[:, None], given.images.query_labels, top=[1])
        return [Outcome(row, predictions)]

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """The protocol's name and similarity."""
        return "nearest neighbour, cosine"
