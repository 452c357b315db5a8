"""A run beside the nearest published results."""

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
    """A run's setting beside the nearest published one.

    Attributes:
        table: the published results.
        method: the row that is the run's own method; empty where none is.
        is_other_data: whether the data set is another one.
        reasons: why its results may not be compared with these; empty: they may.
        unknown: what of the published result's setting is not recorded, in words; empty: nothing.
    """

    table: Table
    method: str
    is_other_data: bool
    reasons: list[str]
    unknown: str = ""

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """What to mind even where they may be compared."""
        return self.table.caveats

    def result(self, column: Column | None) -> float | None:
        """The published result of the run's method by a protocol, or None."""
        return self.table.result(self.method, column)

    def describe_knn(self) -> str:
        """The published kNN in a sentence, where the data set is the run's; else nothing."""
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
    """The run's setting beside the nearest published one.

    Args:
        setting: of the run.
        method: its name in the papers' tables.
        values: of all its settings, by name; None compares no recipe.
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
    """What is not recorded of how a published result came about."""
    if row is None:
        return ""
    if row.epochs is None and not row.recipe:
        return "its number of epochs and recipe are not recorded here"
    if row.epochs is None:
        return "its number of epochs is not recorded here"
    return "" if row.recipe else "its recipe is not recorded here"


def comparison_of(context: ReportContext) -> Comparison:
    """A run beside the nearest published results."""
    settings, record = context.settings, context.record
    choice = settings.encoder
    setting = Setting(
        data=data_name(settings.data.data),
        images=record.metadata["images"],
        held_out_images=0 if context.held_out is None else len(context.held_out),
        # By the name that it was chosen by: the halves of a split one are of that network.
        encoder=context.encoder.name if choice.is_of_init else choice.encoder,
        image_size=context.image_size,
        embedding_dim=context.encoder.output_shape[-1],
        epochs=record.epochs_done,
        variations=settings.method.variations,
    )
    return compare(setting, settings.method.published_name, flat_values(settings))
