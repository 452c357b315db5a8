"""A run beside the nearest published results."""

import dataclasses

from and_tf.report.context import ReportContext
from and_tf.report.published import (
    KNN,
    Caveat,
    Column,
    Setting,
    Table,
    data_name,
    differences,
    nearest_table,
)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A run's setting beside the nearest published one.

    Attributes:
        table: the published results.
        method: the row that is the run's own method; empty where none is.
        is_other_data: whether the data set is another one.
        reasons: why its results may not be compared with these; empty: they may.
    """

    table: Table
    method: str
    is_other_data: bool
    reasons: list[str]

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
        sentence = f"Published for {self.method} on {self.table.setting}: {result:.1f} %"
        if self.reasons:
            return f"{sentence}, not comparable: {'; '.join(self.reasons)}."
        return f"{sentence}, in the setting of this run."


def compare(setting: Setting, method: str) -> Comparison:
    """The run's setting beside the nearest published one.

    Args:
        setting: of the run.
        method: its name in the papers' tables.
    """
    table = nearest_table(setting)
    is_other_data = setting.data != table.setting.data
    return Comparison(table, method, is_other_data, differences(setting, table.setting))


def comparison_of(context: ReportContext) -> Comparison:
    """A run beside the nearest published results."""
    settings, record = context.settings, context.record
    setting = Setting(
        data=data_name(settings.data.data),
        images=record.metadata["images"],
        held_out_images=0 if context.held_out is None else len(context.held_out),
        encoder=context.encoder.name,
        image_size=context.image_size,
        embedding_dim=context.encoder.output_shape[-1],
        epochs=record.epochs_done,
    )
    return compare(setting, settings.method.published_name)
