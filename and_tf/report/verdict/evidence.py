"""The evidence for a verdict, and the verdict itself."""

import dataclasses

import numpy as np

from and_tf.methods import Method
from and_tf.report.record import Record
from and_tf.report.spread import Spread
from and_tf.report.verdict.control import Control


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured in a run, and what it may be compared with.

    Attributes:
        record: of the run.
        spread: of the embeddings of the reported checkpoint.
        labels: (n,) int, of the labelled held-out images; None or empty if there are none.
        train_labels: (m,) int, of the training images classified for `knn_top1_train`, which is
            used if there is no accuracy on held-out images.
        last_stage: top-1 in percent of the same kNN on the last stage, if it was measured; for a
            method that should not be judged by `fc`.
        published: a sentence on the published result, or nothing.
        checkpoint: the one that the report is about.
        control: the run without neighbours that is otherwise the same.
        control_command: command that trains such a run; empty if the programs are not available.
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
        """The labels behind each kNN accuracy, by metric; the first is preferred for judging."""
        found = {"knn_top1": self.labels, "knn_top1_train": self.train_labels}
        return {name: labels for name, labels in found.items() if labels is not None}

    @property
    def metric(self) -> str:
        """The kNN accuracy to judge by; empty if none was measured."""
        for name, labels in self.labels_of.items():
            if len(labels) and self.record.latest(name) is not None:
                return name
        return ""

    @property
    def is_of_learned_labels(self) -> bool:
        """Whether the accuracy is on labels that the method learned from."""
        return self.metric == "knn_top1_train" and self.method.learns_from_labels

    @property
    def judges_by_last_stage(self) -> bool:
        """Whether to judge by the accuracy of the last stage instead of `fc`."""
        is_known = bool(self.method.fc_holds) and self.last_stage is not None
        return is_known and self.metric == "knn_top1"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How good the features of a run are.

    Attributes:
        tone: `good`, `mixed`, `poor` or `unknown`.
        headline: one sentence.
        reasons: sentences that support the headline.
        neighbours: sentences on whether training with neighbours may have helped; empty if there
            was none.
    """

    tone: str
    headline: str
    reasons: list[str]
    neighbours: list[str] = dataclasses.field(default_factory=list)
