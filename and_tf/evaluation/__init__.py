"""What an encoder is worth: classifiers, retrieval and clusters on its features."""

from and_tf.evaluation.clustering import cluster_figures, clusters
from and_tf.evaluation.features import extract, extract_layers
from and_tf.evaluation.few_shot import few_shot_accuracy
from and_tf.evaluation.knn import accuracy, nearest_neighbour, sweep_knn, weighted_knn
from and_tf.evaluation.linear import LinearClassifier, fit_linear
from and_tf.evaluation.retrieval import retrieval

__all__ = [
    "LinearClassifier",
    "accuracy",
    "cluster_figures",
    "clusters",
    "extract",
    "extract_layers",
    "few_shot_accuracy",
    "fit_linear",
    "nearest_neighbour",
    "retrieval",
    "sweep_knn",
    "weighted_knn",
]
