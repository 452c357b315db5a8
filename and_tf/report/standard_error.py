"""How sure an accuracy is, measured on so many images."""

import math


def standard_error(percent: float, count: int) -> float:
    """Of a fraction of `count` images, in points: sqrt(p (1 - p) / n), with four images more.

    Two of them count as right and two as wrong, so that it is never 0: all 10 of 10 images
    classified correctly are no proof of 100 %.

    Reference: Agresti and Coull, The American Statistician 52(2), 1998.
    """
    fraction = (percent / 100 * count + 2) / (count + 4)
    return 100 * math.sqrt(fraction * (1 - fraction) / (count + 4))


def error_of_difference(first: float, second: float, count: int) -> float:
    """Standard error of the difference of two accuracies in points, taken as independent.

    Both are measured on the same images, where the true one is usually smaller: what is concluded
    from it is cautious.
    """
    return math.hypot(standard_error(first, count), standard_error(second, count))
