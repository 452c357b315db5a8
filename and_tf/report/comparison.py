"""Compares a run with the nearest published results."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from and_tf.report.context import ReportContext
from and_tf.report.published import (
    KNN,
    Caveat,
    Column,
    Row,
    Setting,
    Table,
    data_name,
    departures,
    differences,
    nearest_table,
)
from and_tf.settings import flat_values


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A run's setting compared with the nearest published one.

    Attributes:
        table: the published results.
        method: the row of the run's own method; empty if there is none.
        is_other_data: whether the data set is a different one.
        reasons: why the run's results may not be compared with these; empty if they may.
        unknown: what is not recorded about the published result, as text; empty if nothing.
    """

    table: Table
    method: str
    is_other_data: bool
    reasons: list[str]
    unknown: str = ""

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What to bear in mind even if they may be compared."""
        return self.table.caveats

    def result(self, column: Column | None) -> float | None:
        """The published result of the run's method by a protocol, or None."""
        return self.table.result(self.method, column)

    def describe_knn(self) -> str:
        """The published kNN in a sentence if the data set is the run's; otherwise empty."""
        result = self.result(KNN)
        if result is None or self.is_other_data:
            return ""
        where = f"{self.method} on {self.table.setting}"
        sentence = f"Published for {where}, weighted kNN on fc: {result:.1f} %"
        if self.reasons:
            return f"{sentence}, not comparable: {'; '.join(self.reasons)}."
        if self.unknown:
            return f"{sentence}, on the same images and network; {self.unknown}."
        return f"{sentence}, in the setting of this run."


def compare(setting: Setting, method: str, values: Mapping[str, Any] | None = None) -> Comparison:
    """Compares a run's setting with the nearest published one.

    Args:
        setting: of the run.
        method: its name in the papers' tables.
        values: all its settings by name; None to compare no recipe.
    """
    table = nearest_table(setting)
    is_other_data = setting.data != table.setting.data
    row = table.rows.get(method)
    epochs, recipe = (None, {}) if row is None else (row.epochs, row.recipe)
    reasons = differences(setting, dataclasses.replace(table.setting, epochs=epochs))
    if not is_other_data:
        reasons += departures(values or {}, recipe)
    return Comparison(table, method, is_other_data, reasons, _unknown(row))


def _unknown(row: Row | None) -> str:
    """What is not recorded about how a published result was obtained."""
    if row is None:
        return ""
    if row.epochs is None and not row.recipe:
        return "its number of epochs and recipe are not recorded here"
    if row.epochs is None:
        return "its number of epochs is not recorded here"
    return "" if row.recipe else "its recipe is not recorded here"


def comparison_of(context: ReportContext) -> Comparison:
    """Compares a run with the nearest published results."""
    settings, record = context.settings, context.record
    choice = settings.encoder
    setting = Setting(
        data=data_name(settings.data.data),
        images=record.metadata["images"],
        held_out_images=0 if context.held_out is None else len(context.held_out),
        # By the name by which it was chosen: the halves of a split network count as that network.
        encoder=context.encoder.name if choice.is_of_init else choice.encoder,
        image_size=context.image_size,
        embedding_dim=context.encoder.output_shape[-1],
        epochs=record.epochs_done,
        variations=settings.method.variations,
    )
    return compare(setting, settings.method.published_name, flat_values(settings))
