"""Detects images without any colour, from which Split-Brain cannot learn."""

import logging
from typing import Any

import keras
import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.partition import share
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced

logger = logging.getLogger(__name__)

SAMPLE, SIDE = 200, 32  # images that are examined, and their side in pixels
MOST_DIFFERENCE = 3  # between the channels of a grey pixel, which JPEG may change


def are_grey(source: Source, sharing: Sharing = ALONE) -> bool:
    """Whether all pixels of an evenly spaced sample of a source's images are grey.

    Processes that share the work examine some of the images each.
    """
    sample = evenly_spaced(len(source), SAMPLE)
    own = sample[slice(*share(len(sample), sharing.number, sharing.size))]
    images = source.load(own, SIDE)  # (n, SIDE, SIDE, 3) uint8
    difference = np.ptp(images.astype(np.int16), axis=-1)  # (n, SIDE, SIDE)
    coloured = np.array([np.count_nonzero(difference > MOST_DIFFERENCE)], np.int64)
    return not sharing.total(coloured).any()


class GreyWarning(keras.callbacks.Callback):
    """Warns of grey images before the first step of a run, but not when a run continues.

    Args:
        train: the training images.
        sharing: the processes that train together.
    """

    def __init__(self, train: Source, sharing: Sharing = ALONE):
        super().__init__()
        self.train, self.sharing = train, sharing

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if int(self.model.optimizer.iterations.numpy()) == 0 and are_grey(self.train, self.sharing):
            logger.warning(
                "the images of %s are grey: one half of the encoder has nothing to predict, and "
                "the other has no input.", self.train.name,
            )  # fmt: skip
