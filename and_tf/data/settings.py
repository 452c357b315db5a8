"""Which images a run is about, and how they are augmented."""

from __future__ import annotations

import dataclasses
import os

from and_tf.errors import Argument
from and_tf.settings import SettingError, Settings, between, setting

LABELS = ("folders", "none")
FEW_IMAGES = 500  # with fewer, training from random weights has too little to learn from
IMAGE_SIZE, SMALLEST, LARGEST = 32, 8, 8192  # pixels
# Pillow's own limit, 512 MiB of three channels; only JPEGs of some phones have more.
MAX_MEGAPIXELS = 179
MEGAPIXELS_HELP = (
    "Images of more megapixels are refused, except for JPEGs, which are decoded smaller; all "
    "threads together decode at most this many at a time."
)
OF_INIT = 0  # as an image size: that of the weights from which a run starts


@dataclasses.dataclass(frozen=True)
class DataSettings(Settings):
    """Images."""

    # The place of the images may change: a run continues only with those that it began with.
    data: str = setting(
        "digits",
        "Images to train on: the path of a folder, or digits, tfds:NAME, folder:PATH, list:FILE, "
        "records:PATH, npz:PATH or mat:PATH.",
        may_change=True,
    )
    data_dir: str = setting("", "Folder of prepared TFDS data sets.", may_change=True)
    train_split: str = setting(
        "train", "Split in TFDS notation, such as train[:5000] or stratified_train[:90%]."
    )
    eval_split: str = setting(
        "", "Split to evaluate on; by default validation, else test, where they exist."
    )
    eval_data: str = setting(
        "", "Images to evaluate on; by default those to train on.", may_change=True
    )
    labels: str = setting(
        "folders",
        "Whether labels are read, those of a folder from its sub-folders; they serve metrics only, "
        "except in supervised training.",
        choices=LABELS,
    )
    # May change, because leaving out other images would change which images there are.
    skip_broken: bool = setting(False, "Leave out images that cannot be decoded.", may_change=True)

    max_image_megapixels: int = setting(MAX_MEGAPIXELS, MEGAPIXELS_HELP, between(1, 100_000))

    crop_to_box: bool = setting(
        False, "Crop images to the bounding box that the data set gives, before anything else."
    )

    eval_crop: float = setting(
        1.0,
        "Fraction of the shorter side that the centre crop of evaluation, embedding and export "
        "covers; 0.875 means resize to 256, crop 224.",
        between(0.5, 1),
    )

    def absolute(self) -> DataSettings:
        """The same settings with absolute paths, so that images are found from any folder."""
        from and_tf.data.sources.opening import absolute_spec

        return dataclasses.replace(
            self,
            data=absolute_spec(self.data),
            eval_data=absolute_spec(self.eval_data),
            data_dir=os.path.abspath(os.path.expanduser(self.data_dir)) if self.data_dir else "",
        )


@dataclasses.dataclass(frozen=True)
class AugmentationSettings(Settings):
    """Augmentation.

    The defaults are the authors' recipe at 32 x 32: RandomResizedCrop, ColorJitter and
    RandomGrayscale of torchvision, on float images. Arithmetic: `and_tf.data.augmentation`.

    Attributes:
        image_size: side S of the resulting square images in pixels, at least 8; `OF_INIT` as long
            as it is to be taken from the weights that a run starts from.
        crop_min_area: smallest fraction of the image's area that a crop covers.
        color_jitter: strength. Factors lie in 1 - strength .. 1 + strength, hue shifts in
            +-strength of a turn, at most half a turn.
        grey: probability that an image turns grey.
        flip: whether half of the images are mirrored left to right.

    Reference: Huang et al., ICML 2019.
    """

    image_size: int = setting(
        None,
        "Side of the encoder's input in pixels; by default 32, or that of the network whose "
        "weights the run starts from (init).",
        between(0, LARGEST),
    )
    crop_min_area: float = setting(
        0.2, "Smallest fraction of the image that a random crop covers.", between(0, 1, True)
    )
    color_jitter: float = setting(
        0.4, "Strength of brightness, contrast, saturation and hue changes.", between(0, 1)
    )
    grey: float = setting(0.2, "Probability of a grey image.", between(0, 1))
    flip: bool = setting(False, "Flip half of the images horizontally.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size is None:
            object.__setattr__(self, "image_size", IMAGE_SIZE)
        if OF_INIT < self.image_size < SMALLEST:
            raise SettingError(
                Argument("image_size", self.image_size), f" must be at least {SMALLEST}."
            )
