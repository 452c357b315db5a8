"""Retrieval of images of the same class: recall and mean average precision."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from and_tf.evaluation.protocols.protocol import Outcome, Protocol, ProtocolInput

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages


@dataclasses.dataclass(frozen=True)
class Retrieval(Protocol):
    """Retrieval."""

    summary = "recall and mean average precision"
    needs_queries = False
    takes_bank = True
    metric_titles: ClassVar = {
        "recall_at_1": "recall@1 %",
        "recall_at_5": "recall@5 %",
        "recall_at_10": "recall@10 %",
        "mean_average_precision": "mAP %",
    }

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """One outcome: how high the images of a query's class are ranked."""
        from and_tf.evaluation.retrieval import retrieval

        row = retrieval(
            given.reference,
            given.images.labels,
            given.queries,
            given.images.query_labels,
            exclude_self=given.images.same,
            budget_bytes=given.memory_bytes // 4,
            progress=True,
        )
        return [Outcome(row)]

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """The protocol's name and similarity."""
        return "retrieval by cosine" + (", an image does not find itself" if images.same else "")

    def remarks(self, images: EvaluationImages, rows: list[dict]) -> list[str]:
        """How many queries were left out because no other image has their class."""
        from and_tf.evaluation.retrieval import answerable

        can_answer = answerable(images.labels, images.query_labels, images.same)
        alone = int(((images.query_labels >= 0) & ~can_answer).sum())
        return [f"{alone} images are alone in their class and are left out."] if alone else []
