"""The class of the single nearest reference image."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from and_tf.evaluation.protocols.protocol import Outcome, Protocol

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages


@dataclasses.dataclass(frozen=True)
class NearestImage(Protocol):
    """Nearest image."""

    summary = "the single nearest image"
    takes_bank = True
    metric_titles: ClassVar = {"top1": "top-1 %"}

    def run(
        self,
        images: EvaluationImages,
        reference: np.ndarray,
        queries: np.ndarray,
        memory_bytes: int,
    ) -> list[Outcome]:
        from and_tf.evaluation.knn import nearest_neighbour, ranking_accuracy

        predictions = nearest_neighbour(
            reference, images.labels, queries, memory_bytes // 4, progress=True
        )
        row = ranking_accuracy(predictions[:, None], images.query_labels, top=[1])
        return [Outcome(row, predictions)]

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        return "nearest neighbour, cosine"
