"""Classification by a weighted vote of the nearest rows."""

import numpy as np

# The paper's weighted kNN: K, and the temperature of the votes.
NEIGHBOURS, TEMPERATURE = 200, 0.1


def class_votes(
    cosines: np.ndarray, voters: np.ndarray, temperature: float, num_classes: int
) -> np.ndarray:
    """Sums of exp(cosine / temperature) by class.

    Args:
        cosines: (Q, k) float, of the nearest rows.
        voters: (Q, k) int, their labels.
        temperature: of the weights.
        num_classes: C.

    Returns:
        (Q, C) float64: float32 overflows above exp(88), which a temperature of 0.01 exceeds.

    Reference: Wu et al., CVPR 2018, section 3.4.
    """
    weights = np.exp(cosines.astype(np.float64) / temperature)  # (Q, k)
    cells = np.arange(len(voters))[:, None] * num_classes + voters  # (Q, k)
    sums = np.bincount(cells.ravel(), weights.ravel(), minlength=len(voters) * num_classes)
    return sums.reshape(-1, num_classes)
