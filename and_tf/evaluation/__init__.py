"""What an encoder is worth: weighted kNN and linear classifiers on its features."""

from and_tf.evaluation.features import extract
from and_tf.evaluation.knn import accuracy, nearest_neighbour, weighted_knn
from and_tf.evaluation.linear import LinearClassifier, fit_linear

__all__ = [
    "LinearClassifier",
    "accuracy",
    "extract",
    "fit_linear",
    "nearest_neighbour",
    "weighted_knn",
]
