"""Whether images have any colour, without which Split-Brain has nothing to predict."""

import logging
from typing import Any

import keras
import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.partition import share
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced

logger = logging.getLogger(__name__)

SAMPLE, SIDE = 200, 32  # images that are looked at, and their side in pixels
MOST_DIFFERENCE = 3  # between the channels of a grey pixel, which JPEG may move


def are_grey(source: Source, sharing: Sharing = ALONE) -> bool:
    """Whether none of some images of a source, evenly spaced, has a pixel of any colour.

    Of processes that share the work each looks at some of them.
    """
    sample = evenly_spaced(len(source), SAMPLE)
    own = sample[slice(*share(len(sample), sharing.number, sharing.size))]
    images = source.load(own, SIDE)  # (n, SIDE, SIDE, 3) uint8
    difference = np.ptp(images.astype(np.int16), axis=-1)  # (n, SIDE, SIDE)
    coloured = np.array([np.count_nonzero(difference > MOST_DIFFERENCE)], np.int64)
    return not sharing.total(coloured).any()


class GreyWarning(keras.callbacks.Callback):
    """Warns of grey images before the first step of a run; one that is continued was warned.

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
