"""Data sets of TensorFlow Datasets as sources of encoded images, which stay in their files.

Other content of the records, such as labels and boxes, is read once, together with the places of
the images: `tfds_records.read_split` returns any numeric feature by its name.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.sources.class_folders import normalised
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.record_index import MOST_NUMBERS
from and_tf.data.sources.tfds_boxes import box_key, enclosing_boxes
from and_tf.data.sources.tfds_prepare import import_tfds, tfds_builder, tfds_error
from and_tf.data.sources.tfds_records import SplitRecords, read_split
from and_tf.data.splits import Opened, SourceOptions, Splits
from and_tf.data.stratified import STRATIFIED, report_sorted_part
from and_tf.errors import Argument, NoBoxes, UserError


class TfdsSplits(Splits):
    """The splits of a TFDS set; a part of a split is read without the rest.

    Args:
        name: of the set.
        data_dir: where TFDS keeps its data sets; None for its own default.
        crop_to_box: whether images are cropped to the boxes of the set.
    """

    def __init__(self, name: str, data_dir: str | Path | None, crop_to_box: bool = False):
        self.name, self.data_dir, self.crop_to_box = name, data_dir, crop_to_box
        self.builder = tfds_builder(name, data_dir)
        super().__init__(
            {split: functools.partial(self.open, split) for split in self.builder.info.splits}
        )

    def open(self, split: str, spec: str = "") -> Opened:
        """Opens a split in TFDS notation."""
        if any(part.strip().startswith(STRATIFIED) for part in split.split("+")):
            return super().open(split, spec or f"tfds:{self.name}")
        source = _read(self.builder, self.name, split, self.data_dir, self.crop_to_box)
        if "[" in split:
            report_sorted_part(source, None, split, f"tfds:{self.name}")
        return source


def tfds_splits(path: str, options: SourceOptions) -> TfdsSplits:
    """The splits of the TFDS set of this name, which is prepared if necessary."""
    return TfdsSplits(path, options.data_dir, options.crop_to_box)


def _read(
    builder: Any, name: str, split: str, data_dir: str | Path | None, crop_to_box: bool
) -> EncodedSource:
    """A split of a TFDS set in the stored order; its images stay in their files until used."""
    image_key, label_key = _tfds_keys(builder.info)
    of_box = "/".join(box_key(builder.info)) if crop_to_box else ""
    try:
        found = read_split(builder.info, split, f"tfds:{name}", image_key)
    except UserError:  # names the split or the file
        raise
    except OSError as error:
        raise tfds_error("read", name, data_dir, error) from error
    class_names = builder.info.features[label_key].names if label_key else None
    return EncodedSource(
        found.items,
        f"tfds:{name}",
        found.single(label_key) if label_key else None,
        class_names and [normalised(name) for name in class_names],
        sizes=found.sizes,
        identity=f"{builder.info.full_name} {split}",
        checksums=found.checksums,
        shapes=found.shapes,
        boxes=_boxes(found, of_box, name) if of_box else None,
    )


def _boxes(found: SplitRecords, key: str, name: str) -> np.ndarray:
    """(N, 4) float64: the box of each image, from its record."""
    try:
        return enclosing_boxes(found.values_of(key))
    except KeyError as error:
        raise NoBoxes(
            Argument("crop_to_box", True), " needs bounding boxes, and the records of ",
            Argument("data", f"tfds:{name}"), f" hold none as {key}, or more than {MOST_NUMBERS} "
            "numbers per image: leave it out.",
        ) from error  # fmt: skip


def _tfds_keys(info: Any) -> tuple[str, str | None]:
    """Names of the image feature and of the label feature, if there is one."""
    tfds = import_tfds()
    features = dict(info.features.items()) if hasattr(info.features, "items") else {}
    images = [key for key, value in features.items() if isinstance(value, tfds.features.Image)]
    classes = [
        key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)
    ]
    if not images:
        raise UserError(
            Argument("data", f"tfds:{info.name}"),
            f" holds no image, only {', '.join(features) or 'nothing'}: "
            "choose a data set of images.",
        )
    # TFDS stores the bits of floating-point pixels, such as depths, as the colours of a PNG.
    floats = [key for key in images if np.issubdtype(features[key].np_dtype, np.floating)]
    if len(floats) == len(images):
        raise UserError(
            Argument("data", f"tfds:{info.name}"),
            f" holds images of {np.dtype(features[floats[0]].np_dtype)} only ({', '.join(floats)})"
            ", whose white level is unknown: choose a data set of 8 or 16 bits, or scale "
            "the images to 0..255 and pass them as npz:PATH.",
        )
    images = [key for key in images if key not in floats]
    preferred = ("image", "label", *(info.supervised_keys or ()))
    return (
        next((key for key in images if key in preferred), images[0]),
        next((key for key in classes if key in preferred), classes[0] if classes else None),
    )
