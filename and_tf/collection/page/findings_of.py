"""The findings by which the explorer filters and sorts."""

import numpy as np

from and_tf.collection.page.context import PageContext
from and_tf.collection.page.titles import flag_title
from and_tf.report.page.explorer import Mark, Order


def marks_of(context: PageContext) -> list[Mark]:
    """The photos of each kind of finding that occurs."""
    found = context.findings
    marks = []
    if found.duplicates is not None:
        members = {i for group in found.duplicates.groups for i in group.members}
        spare = members - {group.keep for group in found.duplicates.groups}
        marks += [
            Mark("duplicate", "in a group of duplicates", sorted(members)),
            Mark("spare", "superfluous duplicate", sorted(spare)),
        ]
    if found.outliers is not None:
        marks.append(_mark("outlier", "outlier", found.outliers.is_outlier))
    if found.suspect_labels is not None:
        marks.append(_mark("suspect_label", "suspect label", found.suspect_labels.is_suspect))
    if found.quality is not None:
        marks += [
            _mark(name, flag_title(name), flags) for name, flags in found.quality.flags.items()
        ]
    return [mark for mark in marks if mark.images]


def _mark(key: str, title: str, flags: np.ndarray) -> Mark:
    return Mark(key, title, np.flatnonzero(flags).tolist())


def orders_of(context: PageContext) -> list[Order]:
    """The numbers by which photos can be sorted."""
    found = context.findings
    orders = []
    if found.outliers is not None:
        orders.append(Order("outlier score", found.outliers.scores, "highest"))
    if found.quality is not None:
        for name in ("sharpness", "brightness", "contrast"):
            if name in found.quality.measurements:
                orders.append(Order(name, found.quality.measurements[name], "lowest"))
    return orders
