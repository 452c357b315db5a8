"""Data sets of TensorFlow Datasets as sources of encoded images."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.sources.class_folders import normalised
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.tfds_boxes import BOX, box_key, partial_features, with_box
from and_tf.data.sources.tfds_prepare import import_tfds, quiet_logs, tfds_builder, tfds_error
from and_tf.data.splits import Opened, SourceOptions, Splits, split_ranges
from and_tf.data.stratified import STRATIFIED, report_sorted_part
from and_tf.errors import Argument, UserError


class TfdsSplits(Splits):
    """The splits of a TFDS set, which reads a part of one without the rest.

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
    """The splits of the TFDS set of this name, which is prepared if need be."""
    return TfdsSplits(path, options.data_dir, options.crop_to_box)


def _read(
    builder: Any, name: str, split: str, data_dir: str | Path | None, crop_to_box: bool
) -> EncodedSource:
    """A split of a TFDS set, its encoded images in memory, in the stored order."""
    tfds = import_tfds()
    spec = f"tfds:{name}"
    lengths = {key: info.num_examples for key, info in builder.info.splits.items()}
    num_images = sum(stop - start for _, start, stop in split_ranges(split, spec, lengths, lengths))
    image_key, label_key = _tfds_keys(builder.info)
    of_box = box_key(builder.info) if crop_to_box else None
    read: dict[str, Any] = dict.fromkeys(filter(None, (image_key, label_key)), True)
    read |= partial_features(of_box) if of_box else {}
    items: list[bytes] = []
    labels: list[int] = []
    boxes: list[np.ndarray] = []
    try:
        with quiet_logs(), progress_bar(num_images, f"reading {spec}") as progress:
            records = builder.as_dataset(
                split=split,
                shuffle_files=False,
                decoders=tfds.decode.PartialDecoding(
                    read, decoders={image_key: tfds.decode.SkipDecoding()}
                ),
                # One file after the other: the order of the images is their identity.
                read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            )
            records = records.map(with_box(of_box)) if of_box else records
            for batch in records.batch(500).as_numpy_iterator():
                items.extend(batch[image_key])
                labels.extend(batch[label_key] if label_key else ())
                boxes.extend(batch[BOX] if of_box else ())
                progress.update(len(batch[image_key]))
    except Exception as error:
        raise tfds_error("read", name, data_dir, error) from error
    return EncodedSource(
        items,
        spec,
        np.array(labels, np.int32) if label_key else None,
        [normalised(name) for name in builder.info.features[label_key].names]
        if label_key
        else None,
        identity=f"{builder.info.full_name} {split}",
        boxes=np.array(boxes, np.float64) if of_box else None,
    )


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
    # Of floating-point pixels, such as depths, TFDS stores the bits as the colours of a PNG.
    floats = [key for key in images if np.issubdtype(features[key].np_dtype, np.floating)]
    if len(floats) == len(images):
        raise UserError(
            Argument("data", f"tfds:{info.name}"),
            f" holds images of {np.dtype(features[floats[0]].np_dtype)} alone ({', '.join(floats)})"
            ", of which nothing says what is white: choose a data set of 8 or 16 bits, or scale "
            "the images to 0..255 and pass them as npz:PATH.",
        )
    images = [key for key in images if key not in floats]
    preferred = ("image", "label", *(info.supervised_keys or ()))
    return (
        next((key for key in images if key in preferred), images[0]),
        next((key for key in classes if key in preferred), classes[0] if classes else None),
    )
