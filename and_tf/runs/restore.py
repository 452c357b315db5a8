"""Rebuilds the encoder of a run and restores it from one of the run's checkpoints."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from and_tf.data.settings import AugmentationSettings, DataSettings
from and_tf.data.startup_lines import look_for_devices
from and_tf.encoders.border import with_border
from and_tf.encoders.build import build_encoder
from and_tf.encoders.settings import EncoderSettings
from and_tf.errors import BrokenFile, NotFound
from and_tf.runs import checkpoint
from and_tf.runs.archives import check_keras_archive
from and_tf.runs.places import expanded
from and_tf.runs.weights_limit import TooManyWeights, weights_within
from and_tf.runs.workdir import Workdir

# Bytes of the weights of the largest network that flags.cfg can name, without its embedding. Below
# this, a network that does not match the checkpoint is recognised by its arrays' names instead.
LARGEST_NETWORK = 1 << 28


class RestoredEncoder(NamedTuple):
    """An encoder, and the checkpoint that it was restored from.

    Attributes:
        encoder: keras.Model from images (B, H, W, 3) in 0..255 to unit embeddings (B, D).
        step: optimiser steps of the checkpoint.
        path: of the checkpoint.
        others: the other requested arrays of the same checkpoint.
    """

    encoder: keras.Model
    step: int
    path: Path
    others: dict[str, np.ndarray]


def load_encoder(path: str | Path, checkpoint: str = "last") -> keras.Model:
    """Loads the encoder of a run or of a `.keras` file.

    Args:
        path: a run's folder, or a `.keras` file.
        checkpoint: of a run: `last`; `best`, by kNN of held-out training images; or `round_N`, the
            end of round N.

    Returns:
        keras.Model from images (B, H, W, 3) in 0..255 to unit embeddings (B, D), for `predict`.
        If the run's `eval_crop` is below 1, it takes resized images and crops them itself.

    Raises:
        NotFound: if there is no such file, run or checkpoint.
        BrokenFile: if the file or checkpoint is corrupt or of another model.
    """
    look_for_devices()
    path = expanded(path)
    if path.suffix == ".keras":
        return _load_keras_file(path)
    run = Workdir(path)
    encoder = restore_encoder(run, checkpoint).encoder
    return with_border(encoder, run.read_settings(DataSettings).eval_crop)


def _load_keras_file(path: Path) -> keras.Model:
    if not path.is_file():  # reading a pipe would hang
        reason = "is not a regular file" if path.exists() else "does not exist"
        raise NotFound(f"{path} {reason}: name a .keras file or a run's folder.")
    try:
        with weights_within(check_keras_archive(path)):
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a corrupt file causes many kinds
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise BrokenFile(
            f"{path} cannot be read as a Keras model and may be corrupt ({reason}). Export the "
            "encoder again."
        ) from error


def restore_encoder(run: Workdir, which: str = "last", also: str = "") -> RestoredEncoder:
    """Restores the encoder of a run's checkpoint.

    Args:
        run: the run's folder.
        which: `last`, `best` or `round_N`, as in `load_encoder`.
        also: prefix of the names of other arrays to read at the same time: a running training may
            replace the checkpoint before a second read.

    Raises:
        NotFound, BrokenFile: as in `load_encoder`.
    """
    settings = run.read_settings(EncoderSettings)
    size = run.read_settings(AugmentationSettings).image_size
    metadata = run.read_metadata()
    if settings.is_of_init or run.network.is_file():
        encoder = run.read_network()
    else:
        try:
            with weights_within(max(run.most_weights(), LARGEST_NETWORK)):
                encoder = build_encoder(
                    settings.encoder,
                    (size, size, 3),
                    settings.embedding_dim or 0,
                    metadata["mean"],
                    metadata["std"],
                )
        except TooManyWeights as error:
            raise BrokenFile(
                f"{run.flags} names a different network from that of the checkpoints "
                f"({error}): restore it."
            ) from error
    prefix = (checkpoint.ENCODER, also) if also else checkpoint.ENCODER
    arrays, kept, path = run.load_checkpoint(which, prefix)
    checkpoint.restore(checkpoint.encoder_state(encoder), arrays, path)
    others = {n: array for n, array in arrays.items() if not n.startswith(checkpoint.ENCODER)}
    return RestoredEncoder(encoder, kept["step"], path, others)
