"""Logistic regression on the features, with all labels of the reference images or with a few."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from and_tf.errors import Argument, UserError
from and_tf.evaluation.protocols.protocol import (
    Outcome,
    Protocol,
    ProtocolInput,
    describe_seeds,
    distinct,
    hyphenated,
)
from and_tf.settings import SettingError, at_least, setting

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages


@dataclasses.dataclass(frozen=True)
class Linear(Protocol):
    """Linear classifier."""

    summary = "logistic regression"
    setting_titles: ClassVar = {"shots": "labels per class", "regularisation": "C"}
    metric_titles: ClassVar = {"top1": "top-1 %", "top5": "top-5 %"}

    few_shot: tuple[int, ...] = setting(
        (), "Train on so many labels per class: 1,5,10,50; by default on all.", at_least(1)
    )
    few_shot_seeds: int = setting(5, "Draws of these labels.", at_least(1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.few_shot and self.few_shot_seeds != Linear.few_shot_seeds:
            raise SettingError(
                Argument("few_shot_seeds", self.few_shot_seeds),
                " is for few labels: add ", Argument("few_shot", (1, 5, 10, 50)), ".",
            )  # fmt: skip

    def check(self, images: EvaluationImages) -> None:
        """Refuses labels that are too few for the asked shots; see `Protocol.check`."""
        if not self.few_shot:
            return
        labels = images.labels
        counts = np.bincount(labels[labels >= 0], minlength=len(images.class_names))
        if counts.min() < max(self.few_shot):
            raise UserError(
                Argument("few_shot", max(self.few_shot)),
                " needs as many labelled images of each class, and "
                f"{images.reference.name} has {counts.min()} of the class "
                f"{images.class_names[counts.argmin()]!r}: lower it or add images.",
            )

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """One outcome, or one for each number of labels per class."""
        if self.few_shot:
            return self._run_few_shot(given)
        from and_tf.evaluation.knn import accuracy
        from and_tf.evaluation.linear import fit_linear

        classifier = fit_linear(
            given.reference,
            given.images.labels,
            num_classes=len(given.images.class_names),
            memory_mb=given.memory_bytes >> 21,  # half of it
        )
        scores = classifier.predict_scores(given.queries)
        row = {"regularisation": classifier.regularisation, "converged": classifier.converged}
        row |= accuracy(scores, given.images.query_labels)
        return [Outcome(row, scores.argmax(axis=1))]

    def _run_few_shot(self, given: ProtocolInput) -> list[Outcome]:
        from and_tf.evaluation.few_shot import few_shot_accuracy

        found = few_shot_accuracy(
            given.reference,
            given.images.labels,
            given.queries,
            given.images.query_labels,
            shots=self.few_shot,
            num_seeds=self.few_shot_seeds,
            class_names=given.images.class_names,
        )
        outcomes = []
        for shots, (mean, std) in found.items():
            row = {"shots": shots, "seeds": self.few_shot_seeds}
            outcomes.append(Outcome(row | {"top1": mean, "top1_deviation": std}))
        return outcomes

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """The classifier, with its regularisation, and of how many labels it is."""
        words = "logistic regression on standardised features"
        if self.few_shot:
            return f"{words}, {distinct(rows, 'shots')} labels per class" + describe_seeds(rows)
        several = len({row["regularisation"] for row in rows}) > 1
        words += ", C of each layer" if several else f", C = {distinct(rows, 'regularisation')}"
        words += " chosen on a tenth of the training images"
        return words if all(row["converged"] for row in rows) else f"{words} (not converged)"

    def file_name_parts(self) -> list[str]:
        """The numbers of labels per class, where there are some."""
        if not self.few_shot:
            return []
        return [f"shots{hyphenated(self.few_shot)}_seeds{self.few_shot_seeds}"]
