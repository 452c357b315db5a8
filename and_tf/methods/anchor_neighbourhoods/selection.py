"""The selection of anchors, by a rule that has a name.

A new rule is a function like `lowest_entropy`, and a line in `RULES`.
"""

from collections.abc import Callable, Sequence

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


def lowest_entropy(entropy: np.ndarray, num_anchors: int, seed: Sequence[int]) -> np.ndarray:
    """The images of lowest entropy: the method.

    Args:
        entropy: (N,) float, in nats.
        num_anchors: from 0 to N.
        seed: of run and round; not used.

    Returns:
        (N,) bool.
    """
    return select_anchors(entropy, num_anchors)


def random_images(entropy: np.ndarray, num_anchors: int, seed: Sequence[int]) -> np.ndarray:
    """Random images, others in each round: the control of the method. As `lowest_entropy`."""
    return select_anchors(np.random.default_rng(seed).random(len(entropy)), num_anchors)


Rule = Callable[[np.ndarray, int, Sequence[int]], np.ndarray]

RULES: dict[str, Rule] = {"entropy": lowest_entropy, "random": random_images}
