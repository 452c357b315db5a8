"""Weighted kNN: the nearest reference images vote by their similarity."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from and_tf.errors import Argument
from and_tf.evaluation.protocols.protocol import (
    Outcome,
    Protocol,
    ProtocolInput,
    distinct,
    hyphenated,
)
from and_tf.search.votes import NEIGHBOURS, TEMPERATURE
from and_tf.settings import SettingError, at_least, setting

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages

# exp(1 / temperature), summed over the neighbours, must be a float64.
LOWEST_TEMPERATURE = 1 / 690


@dataclasses.dataclass(frozen=True)
class WeightedKnn(Protocol):
    """Weighted kNN.

    Reference: Wu et al., CVPR 2018, section 3.4.
    """

    summary = "nearest images vote by similarity"
    takes_bank = True
    setting_titles: ClassVar = {"k": "K", "temperature": "temperature"}
    metric_titles: ClassVar = {"top1": "top-1 %", "top5": "top-5 %"}

    k: tuple[int, ...] = setting(
        (NEIGHBOURS,), "Neighbours, one or several: 1,5,20,200.", at_least(1)
    )
    knn_temperature: tuple[float, ...] = setting(
        (TEMPERATURE,), "Temperatures of the votes, one or several.", at_least(LOWEST_TEMPERATURE)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("k", "knn_temperature"):
            if not getattr(self, name):
                raise SettingError(Argument(name, ()), " must be a number, or several.")

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """An outcome for each K and temperature, from one search of the nearest rows."""
        from and_tf.evaluation.knn import ranking_accuracy, sweep_knn

        ranked = sweep_knn(
            given.reference,
            given.images.labels,
            given.queries,
            self.k,
            self.knn_temperature,
            num_classes=len(given.images.class_names),
            budget_bytes=given.memory_bytes // 4,
            progress=True,
        )
        outcomes = []
        for (k, temperature), best in ranked.items():
            row = {"k": k, "temperature": temperature}
            row |= ranking_accuracy(best, given.images.query_labels)
            outcomes.append(Outcome(row, best[:, 0]))
        return outcomes

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """Weighted kNN, with the values of K and of the temperature."""
        settings = f"K = {distinct(rows, 'k')}, temperature {distinct(rows, 'temperature')}"
        return f"weighted kNN, {settings}"

    def remarks(self, images: EvaluationImages, rows: list[dict]) -> list[str]:
        """Caveats about comparing the settings of a sweep."""
        remarks = []
        known = int((images.labels >= 0).sum())
        if max(self.k) > known:
            remarks.append(
                f"K above {known}, the number of labelled reference images, acts as {known}."
            )
        if len({(row["k"], row["temperature"]) for row in rows}) > 1:
            remarks.append(
                "The best of several settings is not a fair result on the images it was chosen on: "
                "choose on others, such as stratified_train[90%:] against stratified_train[:90%]."
            )
        return remarks + super().remarks(images, rows)

    def file_name_parts(self) -> list[str]:
        """The values of K and of the temperature, unless both are the defaults."""
        if self == WeightedKnn():
            return []
        return [f"k{hyphenated(self.k)}_t{hyphenated(self.knn_temperature)}"]
