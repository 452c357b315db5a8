"""How much memory and disk space a linear protocol needs, estimated before it begins."""

import logging
import shutil

from and_tf.errors import Argument, UserError
from and_tf.evaluation.features import layers_model
from and_tf.evaluation.pooling import feature_widths
from and_tf.evaluation.protocols.protocol import EncoderInput

logger = logging.getLogger(__name__)

GB = 2**30
# Float64 arrays of the size of the weights: SciPy's L-BFGS keeps ten pairs and a few more.
LBFGS_BYTES_PER_WEIGHT = 8 * 28
SGD_BYTES_PER_WEIGHT = 4 * 3  # weights, velocity, gradient
MANY_GB = 16  # of features that every iteration reads


def log_sgd(given: EncoderInput, batch_size: int, resized: int) -> None:
    """Logs the memory that SGD takes in addition to the encoder's."""
    widths = feature_widths(layers_model(given.encoder, given.layers), given.max_values)
    classifiers = SGD_BYTES_PER_WEIGHT * sum(widths) * len(given.images.class_names)
    features = 2 * 4 * batch_size * sum(widths)  # as they are, and standardised
    images = 2 * 3 * batch_size * (resized**2 + given.image_size**2)  # of two steps
    decoded = 3 * len(given.images.reference) * resized**2
    decoded = decoded if decoded <= given.memory_bytes // 2 else 0  # else decoded in each epoch
    logger.info(
        "Linear classifiers by SGD: %.2f GB of memory on top of the encoder's (classifiers %.2f "
        "GB, decoded images %.2f GB); no features are kept.",
        (classifiers + features + images + decoded) / GB, classifiers / GB, decoded / GB,
    )  # fmt: skip


def check_lbfgs(given: EncoderInput) -> None:
    """Logs where L-BFGS keeps the features of all images, and refuses what does not fit.

    Raises:
        UserError: if the history of the weights exceeds the memory, or the features the disk.
    """
    widths = feature_widths(layers_model(given.encoder, given.layers), given.max_values)
    history = LBFGS_BYTES_PER_WEIGHT * max(widths) * len(given.images.class_names)
    if history > given.memory_bytes:
        raise UserError(
            Argument("solver", "lbfgs"), f" keeps {history / GB:.1f} GB for {max(widths):,} "
            f"features and {len(given.images.class_names):,} classes, and may take "
            f"{given.memory_bytes / GB:.1f} GB: use ", Argument("solver", "sgd"), ", raise ",
            Argument("memory_mb"), " or lower ", Argument("max_values"), ".",
        )  # fmt: skip
    images = given.images
    sizes = [4 * len(source) * sum(widths) for source in (images.reference, images.queries)]
    sizes = sizes[: 1 if images.same else 2]
    on_disk = sum(size for size in sizes if size > given.memory_bytes // 4)
    free = shutil.disk_usage(given.folder).free
    if on_disk > free:
        raise UserError(
            f"The features of {', '.join(given.layers)} take {on_disk / GB:.1f} GB on the disk of "
            f"{given.folder}, which has {free / GB:.1f} GB: use ", Argument("solver", "sgd"),
            ", which keeps none, take one ", Argument("layer"), ", or lower ",
            Argument("max_values"), ".",
        )  # fmt: skip
    in_memory = sum(sizes) - on_disk + given.memory_bytes // 2 + history
    logger.info(
        "Linear classifiers by L-BFGS: up to %.2f GB of memory on top of the encoder's, and %.2f "
        "GB of features on disk.",
        in_memory / GB, on_disk / GB,
    )  # fmt: skip
    if on_disk > MANY_GB * GB:
        logger.warning(
            "each iteration of L-BFGS reads a layer's features from disk, %.1f GB in all: %s "
            "reads the images once per epoch instead.",
            on_disk / GB, Argument("solver", "sgd"),
        )  # fmt: skip
