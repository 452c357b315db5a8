"""All results of a run by protocol, each with the corresponding published result."""

import dataclasses
from typing import Any

from and_tf.data.sources.source import Source
from and_tf.encoders.stages import ALEXNET_LAYERS, RESNET_LAYERS
from and_tf.evaluation import results
from and_tf.report.comparison import Comparison
from and_tf.report.metric_tables import NOTHING
from and_tf.report.published import KNN, LINEAR, Column
from and_tf.report.record import Record
from and_tf.report.standard_error import standard_error
from and_tf.search.votes import NEIGHBOURS, TEMPERATURE

PAPER_LAYERS = dict(zip(RESNET_LAYERS, ALEXNET_LAYERS, strict=True))


@dataclasses.dataclass(frozen=True)
class MeasuredRow:
    """A result of a run.

    Attributes:
        protocol: how it was measured.
        results: each metric with its value.
        column: the corresponding one of the published table, for the run's own row there; None if
            the result does not belong in that row.
        top1: in percent, or None.
        published: the published result, or an empty string.
        note: whether the two may be compared; if nothing is published on the data, caveats alone.
        is_one_of_many: whether it is one of several settings or layers of an evaluation.
    """

    protocol: str
    results: list[str]
    column: Column | None
    top1: float | None
    published: str
    note: str
    is_one_of_many: bool = False


def measured_rows(
    record: Record, comparison: Comparison, count: int, k: int, own_data: set[str]
) -> list[MeasuredRow]:
    """The rows of kNN during training, and of what evaluate.py has measured.

    Args:
        record: of the run.
        comparison: with the published results.
        count: held-out images with a label.
        k: training images that vote on the class of one image, see `ChosenImages.votes`.
        own_data: `reference` and `queries` of evaluate.py on the run's own images.
    """
    rows = []
    for name, features in (("knn_top1", "recomputed features"), ("knn_top1_bank", "memory bank")):
        top1 = record.latest(name)
        if top1 is not None and count:
            protocol = f"weighted kNN, K = {k}, temperature {TEMPERATURE}, {features}"
            value = f"top-1 {top1:.1f} ± {standard_error(top1, count):.1f} %"
            published, note = _beside(comparison, KNN, [])
            rows.append(MeasuredRow(protocol, [value], KNN, top1, published, note))
    for report in record.protocols:
        rows += _evaluated(report, comparison, own_data, record.step)
    return rows


def names_of_images(*sources: Source | None) -> set[str]:
    """The names that evaluate.py gives to images, as `reference` and `queries` in its files."""
    return {f"{s.name}, {len(s)} images" for s in sources if s is not None}


def knn_of_last_stage(record: Record, own_data: set[str]) -> float | None:
    """Top-1 in percent of the paper's kNN on the last stage, of the checkpoint of a record.

    Args:
        record: of the run.
        own_data: `names_of_images` of the run's own images.

    Returns:
        What evaluate.py measured, or None if it has not.
    """
    last_stages = {(KNN[0], RESNET_LAYERS[-1]), (KNN[0], ALEXNET_LAYERS[-1])}
    for report in record.protocols:
        is_own = {report.get("reference"), report.get("queries")} <= own_data
        if not is_own or record.step is None or report.get("step") != record.step:
            continue
        for row in report.get("rows") or [report]:
            if _column(str(report.get("classifier")), row) in last_stages and "top1" in row:
                return row["top1"]
    return None


def _evaluated(
    report: dict[str, Any], comparison: Comparison, own_data: set[str], last_step: int | None
) -> list[MeasuredRow]:
    """The rows of one file of evaluate.py, see `and_tf.evaluation.results`."""
    others = {str(report[key]) for key in ("reference", "queries") if key in report} - own_data
    age = _age(report, last_step)
    reasons = [*filter(None, [age]), *(f"measured on {name}" for name in sorted(others))]
    found = report.get("rows") or [report]
    rows = []
    for row in found:
        column = _column(str(report.get("classifier")), row)
        published, note = _beside(comparison, column, reasons)
        if age and not comparison.is_other_data and not note.startswith("not comparable"):
            note += f"; {age}"
        rows.append(
            MeasuredRow(
                protocol=_protocol(report, row, len(found)),
                results=[_result(row, name) for name in results.METRICS if name in row],
                column=None if reasons else column,
                top1=row.get("top1"),
                published=published,
                note=note,
                is_one_of_many=len(found) > 1,
            )
        )
    return rows


def _age(report: dict[str, Any], last_step: int | None) -> str:
    """The epoch of a file of evaluate.py, if it is not that of the reported checkpoint."""
    if "step" not in report or "epoch" not in report or last_step is None:
        return "epoch not recorded"
    if report["step"] == last_step:
        return ""
    return f"of epoch {report['epoch']:,}, not of this checkpoint"


def _protocol(report: dict[str, Any], row: dict[str, Any], count: int) -> str:
    """The protocol; if the file has several rows, with the settings of this one."""
    if count == 1:
        return str(report["protocol"])
    names = [name for name in results.SETTINGS if name in row]
    settings = [f"{results.TITLES[name]} = {row[name]:g}" for name in names]
    kind, *parts = str(report["protocol"]).split(", ")
    bank = [part for part in parts if part.startswith("bank ")]
    return ", ".join([kind, f"layer {row.get('layer')}", *settings, *bank])


def _result(row: dict[str, Any], name: str) -> str:
    title, percent, _ = f"{results.TITLES[name]} ".partition(" %")
    digits = 2 if percent else 3
    std = row.get(f"{name}_deviation")
    spread = "" if std is None else f" (std {std:.{digits}f})"
    return f"{title.strip()} {row[name]:.{digits}f}{percent}{spread}"


def _column(classifier: str, row: dict[str, Any]) -> Column | None:
    """The published column that corresponds to a row of evaluate.py, or None."""
    layer = str(row.get("layer"))
    if classifier == "knn" and (row.get("k"), row.get("temperature")) == (NEIGHBOURS, TEMPERATURE):
        return (KNN[0], layer)
    if classifier == "linear" and "shots" not in row:
        return (LINEAR, PAPER_LAYERS.get(layer, layer))
    return None


def _beside(comparison: Comparison, column: Column | None, reasons: list[str]) -> tuple[str, str]:
    """The published result, and whether the run's may be compared with it.

    If nothing is published on the data set, the second is only the `reasons` of the result itself.
    """
    result = comparison.result(column)
    if comparison.is_other_data:
        return "", "; ".join(reasons)
    if result is None:
        return "", "no published result of this protocol"
    reasons = [*comparison.reasons, *reasons]
    if reasons:
        return f"{result:.1f} %", f"not comparable: {'; '.join(reasons)}"
    return f"{result:.1f} %", "; ".join(filter(None, ["comparable", comparison.unknown]))


def own_row(comparison: Comparison, rows: list[MeasuredRow]) -> list[str] | None:
    """The run's own results in the columns of the published table.

    Returns:
        A cell for each column; None if the published results are of another data set.
    """
    if comparison.is_other_data:
        return None
    own = {row.column: row.top1 for row in reversed(rows)}  # the first one of a column counts
    return [percent(own.get(column)) for column in comparison.table.columns]


def percent(value: float | None) -> str:
    """A cell of the published table."""
    return NOTHING if value is None else f"{value:.1f}"
