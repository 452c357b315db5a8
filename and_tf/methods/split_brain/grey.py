"""Whether images have any colour, without which Split-Brain has nothing to predict."""

import numpy as np

from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced

SAMPLE, SIDE = 200, 32  # images that are looked at, and their side in pixels
MOST_DIFFERENCE = 3  # between the channels of a grey pixel, which JPEG may move


def are_grey(source: Source) -> bool:
    """Whether none of some images of a source, evenly spaced, has a pixel of any colour."""
    images = source.load(evenly_spaced(len(source), SAMPLE), SIDE)  # (n, SIDE, SIDE, 3) uint8
    difference = np.ptp(images.astype(np.int16), axis=-1)  # (n, SIDE, SIDE)
    return bool(difference.max() <= MOST_DIFFERENCE)
