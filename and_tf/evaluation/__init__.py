"""How good an encoder is: classifiers, retrieval and clusters on its features."""

from typing import TYPE_CHECKING

from and_tf import lazy_attributes

if TYPE_CHECKING:
    from and_tf.evaluation.class_ranking import rank_classes
    from and_tf.evaluation.clustering import cluster_metrics, clusters
    from and_tf.evaluation.features import extract, extract_layers
    from and_tf.evaluation.few_shot import few_shot_accuracy
    from and_tf.evaluation.knn import accuracy, nearest_neighbour, sweep_knn, weighted_knn
    from and_tf.evaluation.linear import LinearClassifier, fit_linear
    from and_tf.evaluation.linear_sgd import fit_linear_sgd
    from and_tf.evaluation.retrieval import retrieval

_HOMES = {
    "LinearClassifier": "linear",
    "accuracy": "knn",
    "cluster_metrics": "clustering",
    "clusters": "clustering",
    "extract": "features",
    "extract_layers": "features",
    "few_shot_accuracy": "few_shot",
    "fit_linear": "linear",
    "fit_linear_sgd": "linear_sgd",
    "nearest_neighbour": "knn",
    "rank_classes": "class_ranking",
    "retrieval": "retrieval",
    "sweep_knn": "knn",
    "weighted_knn": "knn",
}

__all__ = [
    "LinearClassifier",
    "accuracy",
    "cluster_metrics",
    "clusters",
    "extract",
    "extract_layers",
    "few_shot_accuracy",
    "fit_linear",
    "fit_linear_sgd",
    "nearest_neighbour",
    "rank_classes",
    "retrieval",
    "sweep_knn",
    "weighted_knn",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
