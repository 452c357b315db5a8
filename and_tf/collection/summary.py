"""What was found in a collection, as columns of its table and as lines in the terminal."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from and_tf.collection.collection import Collection
from and_tf.collection.columns import Values
from and_tf.collection.duplicates.groups import Duplicates
from and_tf.collection.findings import Findings
from and_tf.collection.outliers import Outliers
from and_tf.collection.printing import count_of, print_line
from and_tf.collection.quality import Quality, by_severity
from and_tf.collection.suspect_labels import SuspectLabels

SHOWN = 5  # images or groups of each kind
NAMED = 2  # images per line
MEASUREMENTS = ("width", "height", "sharpness", "brightness", "contrast")


def finding_columns(collection: Collection, findings: Findings) -> dict[str, Values]:
    """Columns of the table: one value per image.

    `duplicate_group` (-1: none), `outlier`, `width`, `height`, `sharpness`, `brightness`,
    `contrast`, `quality` (flags, separated by commas), `label`, `suggested_label` (empty if it is
    the same) and `suspect_margin`.
    """
    columns: dict[str, Values] = {}
    if findings.duplicates is not None:
        columns["duplicate_group"] = findings.duplicates.group_numbers(len(collection))
    if findings.outliers is not None:
        columns["outlier"] = findings.outliers.scores
    if findings.quality is not None:
        columns |= {name: findings.quality.measurements[name] for name in MEASUREMENTS}
        columns["quality"] = findings.quality.texts()
    names, labels = collection.source.class_names, collection.source.labels
    if names is not None and labels is not None:
        columns["label"] = [names[label] if label >= 0 else "" for label in labels]
        if (suspects := findings.suspect_labels) is not None:
            differs = (suspects.suggested != labels) & (suspects.suggested >= 0)
            pairs = zip(suspects.suggested, differs, strict=True)
            columns["suggested_label"] = [names[new] if other else "" for new, other in pairs]
            columns["suspect_margin"] = suspects.margin
    return columns


def print_findings(collection: Collection, findings: Findings, listed: Path) -> None:
    """Prints counts and the first few of each kind; `listed` is the file of near-duplicates."""
    for line in _lines(collection, findings, listed):
        print_line(line)


def _lines(collection: Collection, findings: Findings, listed: Path) -> Iterator[str]:
    yield from _broken_lines(collection)
    if findings.duplicates is not None:
        yield from _duplicate_lines(collection, findings.duplicates, listed)
    if findings.outliers is not None and findings.outliers.k:
        yield from _outlier_lines(collection, findings.outliers)
    if findings.quality is not None:
        yield from _quality_lines(collection, findings.quality)
    if findings.suspect_labels is not None:
        yield from _label_lines(collection, findings.suspect_labels)


def _broken_lines(collection: Collection) -> Iterator[str]:
    if broken := collection.broken:
        yield f"Left out: {count_of(len(broken), 'file')} that cannot be read"
        for name, reason in broken[:SHOWN]:
            yield f"  {name} ({reason})"
        if len(broken) > SHOWN:
            yield f"  and {len(broken) - SHOWN:,} more"


def _duplicate_lines(collection: Collection, found: Duplicates, listed: Path) -> Iterator[str]:
    superfluous = sum(len(group.members) - 1 for group in found.groups)
    yield (
        f"Near-duplicates: {count_of(len(found.groups), 'group')}, "
        f"{count_of(superfluous, 'image')} more than needed: {listed}"
    )
    for group in found.groups[:SHOWN]:
        others = [collection.names[row] for row in group.members if row != group.keep]
        shown = ", ".join(others[:2]) + (f" and {len(others) - 2} more" if len(others) > 2 else "")
        yield f"  keep {collection.names[group.keep]}, not {shown} ({group.reason})"
    if found.warning:
        yield f"  Note: {found.warning}"


def _outlier_lines(collection: Collection, found: Outliers) -> Iterator[str]:
    count = int(found.is_outlier.sum())
    what = "image is" if count == 1 else "images are"
    yield (
        f"Outliers: {count:,} {what} unlike the others, by the distance to neighbour number "
        f"{found.k}"
    )
    for row in np.argsort(-found.scores, kind="stable")[: min(SHOWN, count)]:
        yield f"  {found.scores[row]:.2f} times the usual distance  {collection.names[row]}"


def _quality_lines(collection: Collection, found: Quality) -> Iterator[str]:
    counts = {name: int(flag.sum()) for name, flag in found.flags.items()}
    some = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    yield f"Quality: {', '.join(some) if some else 'nothing remarkable'}"
    for name in found.flags:
        if rows := by_severity(found, name).tolist():
            shown = ", ".join(collection.names[row] for row in rows[:NAMED])
            more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
            yield f"  {name.replace('_', ' ')}: {shown}{more}"


def _label_lines(collection: Collection, found: SuspectLabels) -> Iterator[str]:
    class_names, labels = collection.source.class_names, collection.source.labels
    assert class_names is not None and labels is not None
    count = int(found.is_suspect.sum())
    yield (
        f"Labels: {count_of(count, 'image')} may belong in another folder (the neighbours name the "
        f"right folder for {found.agreement:.0f} % of all)"
    )
    order = np.argsort(-np.where(found.is_suspect, found.margin, -1), kind="stable")
    for row in order[: min(SHOWN, count)]:
        yield (
            f"  {collection.names[row]}: {class_names[labels[row]]}, or "
            f"{class_names[found.suggested[row]]}?"
        )
