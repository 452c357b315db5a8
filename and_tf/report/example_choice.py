"""Chooses images that show what a run has learned, and what it has not."""

import numpy as np


def choose_examples(
    first_correct: np.ndarray, last_correct: np.ndarray, count: int = 4, seed: int = 0
) -> dict[str, np.ndarray]:
    """Random images that the run came to classify correctly, and images still wrong at its end.

    Args:
        first_correct, last_correct: (Q,) bool, whether an image is classified correctly after
            round 0 and after the last round. Leave out images without a label.
        count: images of each kind, or fewer if there are not as many.
        seed: of the choice.

    Returns:
        Positions (m,) int, ascending, of the `successes` and the `failures`.
    """
    rng = np.random.default_rng(seed)
    kinds = {"successes": ~first_correct & last_correct, "failures": ~last_correct}
    return {
        name: np.sort(rng.permutation(np.flatnonzero(is_kind))[:count])
        for name, is_kind in kinds.items()
    }


def choose_by_entropy(entropy: np.ndarray, count: int = 4) -> dict[str, np.ndarray]:
    """The choice without labels: images with the clearest and the least clear neighbourhoods.

    Args:
        entropy: (N,) float.
        count: images of each kind.

    Returns:
        Positions (m,) int of the images of `lowest entropy` and `highest entropy`, most extreme
        first; no image is in both.
    """
    order = np.argsort(entropy, kind="stable")
    count = min(count, len(order) // 2)
    return {"lowest entropy": order[:count], "highest entropy": order[::-1][:count]}
