"""Data sets with random access, one module for each kind; `SOURCES` names them."""

from collections.abc import Callable
from typing import NamedTuple

from and_tf.data.sources.digits import digits_splits
from and_tf.data.sources.folder import folder_splits
from and_tf.data.sources.list_file import list_splits
from and_tf.data.sources.mat import mat_splits
from and_tf.data.sources.npz import npz_splits
from and_tf.data.sources.records import records_splits
from and_tf.data.sources.tfds import tfds_splits
from and_tf.data.splits import SourceOptions, Splits


class Kind(NamedTuple):
    """A kind of data set.

    Attributes:
        splits: returns the splits of the data set with a path or name, without decoding anything.
        argument: what follows the kind and a colon: PATH, FILE, NAME, or nothing.
        may_have_boxes: whether its images may have bounding boxes to crop to.
    """

    splits: Callable[[str, SourceOptions], Splits]
    argument: str = "PATH"
    may_have_boxes: bool = False

    @property
    def is_path(self) -> bool:
        """Whether the data set has a path, rather than a name."""
        return self.argument in ("PATH", "FILE")


SOURCES = {
    "digits": Kind(digits_splits, ""),
    "tfds": Kind(tfds_splits, "NAME", may_have_boxes=True),
    "folder": Kind(folder_splits),
    "list": Kind(list_splits, "FILE", may_have_boxes=True),
    "records": Kind(records_splits, may_have_boxes=True),
    "npz": Kind(npz_splits),
    "mat": Kind(mat_splits),
}


def accepted_specs() -> str:
    """What `open_source` accepts, such as "digits, tfds:NAME"."""
    return ", ".join(
        f"{name}:{kind.argument}" if kind.argument else name for name, kind in SOURCES.items()
    )
