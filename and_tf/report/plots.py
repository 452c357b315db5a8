"""The plots of a report, and how to save them; each is drawn in a module of its own kind."""

from and_tf.report.curves import accuracy_by_round, label_free_curves, training_curves
from and_tf.report.drawing import save_png, save_svg
from and_tf.report.neighbourhood_plots import consistency_by_entropy, entropy_distribution

__all__ = [
    "accuracy_by_round",
    "consistency_by_entropy",
    "entropy_distribution",
    "label_free_curves",
    "save_png",
    "save_svg",
    "training_curves",
]
