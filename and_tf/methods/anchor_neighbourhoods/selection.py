"""The selection of anchors, by named rules.

To add a rule, write a function like `lowest_entropy` and add a line to `RULES`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from and_tf.methods.anchor_neighbourhoods.anchors import select_anchors


def lowest_entropy(entropy: np.ndarray, num_anchors: int, seed: Sequence[int]) -> np.ndarray:
    """The images of lowest entropy: the method.

    Args:
        entropy: (N,) float, in nats.
        num_anchors: from 0 to N.
        seed: of the run and the round; not used.

    Returns:
        (N,) bool.
    """
    return select_anchors(entropy, num_anchors)


def random_images(entropy: np.ndarray, num_anchors: int, seed: Sequence[int]) -> np.ndarray:
    """Random images, different in each round: the control of the method.

    Takes and returns the same as `lowest_entropy`.
    """
    return select_anchors(np.random.default_rng(seed).random(len(entropy)), num_anchors)


Rule = Callable[[np.ndarray, int, Sequence[int]], np.ndarray]

RULES: dict[str, Rule] = {"entropy": lowest_entropy, "random": random_images}
