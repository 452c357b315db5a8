"""The uncertainty of an accuracy that was measured on so many images."""

import math


def standard_error(percent: float, count: int) -> float:
    """Standard error of an accuracy, in points: sqrt(p (1 - p) / n), with four images more.

    Two of the four count as right and two as wrong, so that it is never 0: classifying 10 of 10
    images correctly does not prove 100 %.

    Reference: Agresti and Coull, The American Statistician 52(2), 1998.
    """
    fraction = (percent / 100 * count + 2) / (count + 4)
    return 100 * math.sqrt(fraction * (1 - fraction) / (count + 4))


def error_of_difference(first: float, second: float, count: int) -> float:
    """Standard error of the difference of two accuracies in points, as if they were independent.

    Both are measured on the same images, for which the true error is usually smaller, so that
    conclusions from it are cautious.
    """
    return math.hypot(standard_error(first, count), standard_error(second, count))
