"""The tables of the page: what was measured, by which protocol, and what the papers have."""

import dataclasses

from and_tf.evaluation import results
from and_tf.report.published import (
    AND_PAPER,
    ISL_PAPER,
    KNN,
    LINEAR,
    Setting,
    Table,
    differences,
    nearest_table,
)
from and_tf.report.record import Record
from and_tf.report.verdict import standard_error

LABELLED = {
    "knn_top1": "kNN, recomputed (%)",
    "knn_top1_bank": "kNN, bank (%)",
    "knn_top1_train": "kNN, among training images (%)",
    "consistency": "consistency (%)",
}
LABEL_FREE = {
    "anchors": "anchors",
    "stability": "stability (%)",
    "entropy_mean": "entropy (nats)",
    "effective_rank": "effective rank",
    "uniformity": "uniformity",
    "alignment": "alignment",
    "neighbours_kept": "neighbours kept (%)",
    "mutual_neighbours": "mutual neighbours (%)",
    "bank_agreement": "bank agreement (%)",
    "hubness": "hubness",
}
NOTHING = "\N{EN DASH}"
METHODS = {"and": "AND", "instance": "Instance"}
PAPER_LAYERS = {"stem": "conv1", "stage1": "conv2", "stage2": "conv3", "stage3": "conv4",
                "stage4": "conv5"}  # fmt: skip


def by_round(record: Record, names: dict[str, str]) -> dict | None:
    """The figures that were measured, at the end of each round or as far as it has come.

    Args:
        record: of the run.
        names: title of each figure's column.

    Returns:
        dict: head, titles; rows, each a round and its words. None where nothing was measured.
    """
    values = {name: _last_of_rounds(record, name) for name in names}
    values = {name: by_round for name, by_round in values.items() if by_round}
    if not values:
        return None
    rounds = sorted({number for by_round in values.values() for number in by_round})
    rows = [[str(r), *(_number(name, values[name].get(r)) for name in values)] for r in rounds]
    return {"head": ["round", *(names[name] for name in values)], "rows": rows}


def _last_of_rounds(record, name):
    records = [*record.epochs, *record.evaluations]
    return {item["round"]: item[name] for item in records if name in item}


def _number(name, value):
    if value is None:
        return NOTHING
    if name == "anchors":
        return f"{value:,.0f}"
    return f"{value:.2f}" if name in ("uniformity", "alignment", "entropy_mean") else f"{value:.1f}"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A run beside the nearest published setting.

    Attributes:
        table: the published figures.
        method: the row that is the run's own method.
        is_other_data: whether the data set is another one.
        reasons: why its figures may not be held against them; empty: they may.
        caveats: what to mind even then.
    """

    table: Table
    method: str
    is_other_data: bool
    reasons: list[str]
    caveats: list[dict]


def compare(setting: Setting, method: str) -> Comparison:
    """The run's setting beside the nearest published one."""
    table = nearest_table(setting)
    caveats = [{
        "text": "The authors' code measures kNN against the memory bank and reports the best epoch "
        "on the test images; here it is the last epoch. Bank and recomputed figures differ by two "
        "to three points.",
        "link": AND_PAPER,
    }]  # fmt: skip
    if table.setting.encoder == "alexnet" and table.setting.image_size <= 64:
        caveats.append({
            "text": "The AlexNet that the authors used for 32x32 images is not published; alexnet "
            "here is that of ISL.",
            "link": ISL_PAPER,
        })  # fmt: skip
    is_other_data = setting.data != table.setting.data
    reasons = differences(setting, table.setting)
    return Comparison(table, METHODS[method], is_other_data, reasons, caveats)


def measured(
    record: Record, comparison: Comparison, count: int, k: int, own_data: set[str]
) -> list[dict]:
    """Every figure of a protocol, with the published one that answers to it.

    Args:
        record: of the run.
        comparison: from `compare`.
        count: held-out images with a label.
        k: training images that vote for the class of one, see `sample.voters`.
        own_data: `reference` and `queries` of evaluate.py on the run's own images.

    Returns:
        One dict a row: protocol, figures (words), column and top1 (for the run's own row in
        `published`), published (words, or empty), note (whether they may be compared), and
        is_one_of_many (true of sweeps and of several layers).
    """
    rows = []
    for name, features in (("knn_top1", "recomputed features"), ("knn_top1_bank", "memory bank")):
        top1 = record.latest(name)
        if top1 is not None and count:
            row = {
                "protocol": f"weighted kNN, K = {k}, temperature 0.1, {features}",
                "figures": [f"top-1 {top1:.1f} ± {standard_error(top1, count):.1f} %"],
                "column": KNN,
                "top1": top1,
                "is_one_of_many": False,
            }
            rows.append(row | _beside(comparison, KNN, []))
    for report in record.protocols:
        rows += _evaluated(report, comparison, own_data, record.step)
    return rows


def _evaluated(report, comparison, own_data, last_step):
    """The rows of one file of evaluate.py; see `and_tf.evaluation.results`."""
    others = {str(report[key]) for key in ("reference", "queries") if key in report} - own_data
    age = _age(report, last_step)
    reasons = [*filter(None, [age]), *(f"measured on {name}" for name in sorted(others))]
    found = report.get("rows") or [report]
    rows = []
    for row in found:
        column = _column(str(report.get("classifier")), row)
        words = {
            "protocol": _protocol(report, row, len(found)),
            "figures": [_figure(row, name) for name in results.FIGURES if name in row],
            "column": None if reasons else column,
            "top1": row.get("top1"),
            "is_one_of_many": len(found) > 1,
        }
        beside = _beside(comparison, column, reasons)
        if age and not beside["note"].startswith("not comparable"):
            beside["note"] += f"; {age}"
        rows.append(words | beside)
    return rows


def _age(report, last_step):
    """Of which epoch a file of evaluate.py is, where that is not the last checkpoint's."""
    if "step" not in report or "epoch" not in report or last_step is None:
        return "epoch not recorded"
    if report["step"] == last_step:
        return ""
    return f"of epoch {report['epoch']:,}, not the last"


def _protocol(report, row, count):
    """The protocol in words, of several rows with the settings of this one."""
    if count == 1:
        return str(report["protocol"])
    names = [name for name in results.SETTINGS if name in row]
    settings = [f"{results.TITLES[name]} = {row[name]:g}" for name in names]
    kind, *parts = str(report["protocol"]).split(", ")
    bank = [part for part in parts if part.startswith("bank ")]
    return ", ".join([kind, f"layer {row.get('layer')}", *settings, *bank])


def _figure(row, name):
    title, percent, _ = f"{results.TITLES[name]} ".partition(" %")
    digits = 2 if percent else 3
    deviation = row.get(f"{name}_deviation")
    spread = "" if deviation is None else f" (deviation {deviation:.{digits}f})"
    return f"{title.strip()} {row[name]:.{digits}f}{percent}{spread}"


def _column(classifier, row):
    """The published column that a row of evaluate.py answers to, or None."""
    layer = str(row.get("layer"))
    if classifier == "knn" and (row.get("k"), row.get("temperature")) == (200, 0.1):
        return (KNN[0], layer)
    if classifier == "linear" and "shots" not in row:
        return (LINEAR, PAPER_LAYERS.get(layer, layer))
    return None


def _beside(comparison, column, reasons):
    figure = comparison.table.figure(comparison.method, column)
    if figure is None:
        return {"published": "", "note": "no published figure of this protocol"}
    reasons = [*comparison.reasons, *reasons]
    note = f"not comparable: {'; '.join(reasons)}" if reasons else "comparable"
    return {"published": "" if comparison.is_other_data else f"{figure:.1f} %", "note": note}


def published(comparison: Comparison, rows: list[dict]) -> dict:
    """The published table, and the run's own figures by the same protocols.

    Args:
        comparison: from `compare`.
        rows: from `measured`.

    Returns:
        dict: head, titles; rows, each a method and its words; own, words, or None where the
        published figures are of another data set.
    """
    table = comparison.table
    own = {row["column"]: row["top1"] for row in reversed(rows)}  # the first of a column stays
    return {
        "head": [
            f"{protocol}, {'FC' if layer == 'fc' else layer}" for protocol, layer in table.columns
        ],
        "rows": [(name, [_cell(value) for value in values]) for name, values in table.rows.items()],
        "own": None
        if comparison.is_other_data
        else [_cell(own.get(column)) for column in table.columns],
    }


def _cell(value):
    return NOTHING if value is None else f"{value:.1f}"
