"""What a verdict rests on, and what it consists of."""

import dataclasses

import numpy as np

from and_tf.methods import Method
from and_tf.report.record import Record
from and_tf.report.spread import Spread
from and_tf.report.verdict.control import Control


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured of a run, and with what it may be compared.

    Attributes:
        record: of the run.
        spread: of the embeddings of the reported checkpoint.
        labels: (n,) int, of the held-out images that have one; None or empty where none has.
        train_labels: (m,) int, of the training images that `knn_top1_train` is of; it stands in
            where there is no accuracy of held-out images.
        last_stage: top-1 in percent of the same kNN on the last stage, where it was measured; for a
            method that is not to be judged by `fc`.
        published: a sentence on the published result, or nothing.
        checkpoint: which one is reported on.
        control: the run without neighbours that is otherwise the same.
        control_command: trains such a run; empty where the programs are not at hand.
    """

    record: Record
    spread: Spread
    labels: np.ndarray | None = None
    train_labels: np.ndarray | None = None
    last_stage: float | None = None
    published: str = ""
    checkpoint: str = "last"
    control: Control | None = None
    control_command: str = ""

    @property
    def method(self) -> Method:
        """The settings of the run's method."""
        return self.record.settings.method

    @property
    def labels_of(self) -> dict[str, np.ndarray]:
        """The labels that each kNN accuracy is of, by its metric, the one to judge by first."""
        found = {"knn_top1": self.labels, "knn_top1_train": self.train_labels}
        return {name: labels for name, labels in found.items() if labels is not None}

    @property
    def metric(self) -> str:
        """The kNN accuracy to judge by; empty where none was measured."""
        for name, labels in self.labels_of.items():
            if len(labels) and self.record.latest(name) is not None:
                return name
        return ""

    @property
    def is_of_learned_labels(self) -> bool:
        """Whether the accuracy is of labels that the method was given to learn."""
        return self.metric == "knn_top1_train" and self.method.learns_from_labels

    @property
    def judges_by_last_stage(self) -> bool:
        """Whether the accuracy to judge by is that of the last stage, and not of `fc`."""
        is_known = bool(self.method.fc_holds) and self.last_stage is not None
        return is_known and self.metric == "knn_top1"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a run is worth.

    Attributes:
        tone: `good`, `mixed`, `poor` or `unknown`.
        headline: one sentence.
        reasons: sentences on what it rests on.
        neighbours: sentences on whether training with neighbours may have helped; empty without.
    """

    tone: str
    headline: str
    reasons: list[str]
    neighbours: list[str] = dataclasses.field(default_factory=list)
