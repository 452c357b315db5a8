"""The anchors of a round: the images of lowest entropy."""

import numpy as np

from and_tf.errors import Argument, UserError


def select_anchors(entropy: np.ndarray, num_anchors: int) -> np.ndarray:
    """Marks the images of lowest entropy, ties by index.

    Args:
        entropy: (N,) float.
        num_anchors: from 0 to N.

    Returns:
        (N,) bool with `num_anchors` True values.

    Reference: Huang et al., ICML 2019, section 3.3.
    """
    entropy = np.asarray(entropy)
    if not 0 <= num_anchors <= len(entropy):
        raise UserError(
            Argument("num_anchors", num_anchors), " must be from 0 to the number of images, "
            f"{len(entropy)}.",
        )  # fmt: skip
    is_anchor = np.zeros(len(entropy), bool)
    is_anchor[np.argsort(entropy, kind="stable")[:num_anchors]] = True
    return is_anchor
