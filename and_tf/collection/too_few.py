"""Refuses folders of too few photos to train on, before TensorFlow is loaded."""

import os
from pathlib import Path

from and_tf.data.settings import FEW_IMAGES
from and_tf.data.sources.image_files import find_images
from and_tf.errors import Argument, UserError
from and_tf.runs.places import expanded

SMALLEST = 8  # photos; BatchNorm needs some in a batch


def refuse_too_few(images: int) -> None:
    """Raises a `UserError` if there are too few images to train on."""
    if images < SMALLEST:
        raise UserError(
            f"{images} images are too few to train on, and {FEW_IMAGES} are enough to learn "
            "something: start from pretrained weights, named by ", Argument("model"),
            ", or add images. docs/pretrained.md says where weights come from.",
        )  # fmt: skip


def check_folder(folder: Path, runs: Path = Path("runs")) -> None:
    """Refuses a folder of too few images if there are no weights and no run to embed them with.

    A folder without images is not refused here, but when it is opened.
    """
    home = expanded(os.environ.get("KERAS_HOME") or "~/.keras")
    has_encoder = any((home / "models").glob("*")) or any(runs.glob("**/checkpoints/last.npz"))
    if has_encoder or not folder.is_dir():
        return
    if count := len(find_images(folder).names):
        refuse_too_few(count)
