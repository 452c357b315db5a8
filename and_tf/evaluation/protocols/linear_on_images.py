"""Linear classifiers of several layers, trained or measured on crops of images."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from and_tf.data.cache import cached
from and_tf.evaluation.class_ranking import LinearWeights, rank_classes
from and_tf.evaluation.features import extract_layers
from and_tf.evaluation.knn import ranking_accuracy
from and_tf.evaluation.linear import fit_linear
from and_tf.evaluation.linear_sgd import fit_linear_sgd
from and_tf.evaluation.logistic import Standardisation, folded
from and_tf.evaluation.protocols.protocol import EncoderInput, Outcome
from and_tf.evaluation.square_crops import CentreCrops

if TYPE_CHECKING:
    from and_tf.evaluation.linear import LinearClassifier
    from and_tf.evaluation.protocols.linear import Linear


def linear_outcomes(protocol: Linear, given: EncoderInput) -> list[Outcome]:
    """One outcome for each layer."""
    given = _with_whole_squares(given)
    resized = protocol.resized(given.image_size)
    if protocol.solver == "sgd":
        classifiers = _by_sgd(protocol, given, resized)
        rows: dict[str, dict[str, Any]] = {
            layer: {"epochs": protocol.sgd.sgd_epochs} for layer in given.layers
        }
    else:
        fitted = _by_lbfgs(given, resized)
        classifiers = {layer: _weights(classifier) for layer, classifier in fitted.items()}
        rows = {
            layer: {"regularisation": found.regularisation, "converged": found.converged}
            for layer, found in fitted.items()
        }
    found = rank_classes(
        given.encoder,
        classifiers,
        given.images.queries,
        given.image_size,
        resized,
        protocol.crops,
        given.max_values,
    )
    outcomes = []
    for layer, classes in found.items():
        row: dict[str, Any] = {"layer": layer, "values": len(classifiers[layer].kernel)}
        row |= rows[layer] | {"crops": protocol.crops}
        row |= ranking_accuracy(classes, given.images.query_labels)
        outcomes.append(Outcome(row, classes[:, 0]))
    return outcomes


def _with_whole_squares(given: EncoderInput) -> EncoderInput:
    """Removes the centre crop of other evaluations, because this one makes its own crops."""
    reference, queries = (
        dataclasses.replace(source, eval_crop=1.0)
        for source in (given.images.reference, given.images.queries)
    )
    images = dataclasses.replace(given.images, reference=reference, queries=queries)
    return dataclasses.replace(given, images=images)


def _by_sgd(protocol: Linear, given: EncoderInput, resized: int) -> dict[str, LinearWeights]:
    return fit_linear_sgd(
        given.encoder,
        given.layers,
        # Read in each epoch, so decoded only once if there is room.
        cached(given.images.reference, resized, given.memory_bytes // 2),
        given.images.labels,
        len(given.images.class_names),
        given.image_size,
        resized,
        given.max_values,
        protocol.sgd,
    )


def _by_lbfgs(given: EncoderInput, resized: int) -> dict[str, LinearClassifier]:
    """Classifiers fitted to the central crops, which have the same scale as those to classify."""
    features = extract_layers(
        given.encoder,
        given.layers,
        CentreCrops(given.images.reference, resized),
        given.image_size,
        max_values=given.max_values,
        memory_mb=given.memory_bytes >> 22,
        folder=given.folder,
    )
    return {
        layer: fit_linear(
            rows,
            given.images.labels,
            num_classes=len(given.images.class_names),
            memory_mb=given.memory_bytes >> 21,
        )
        for layer, rows in features.items()
    }


def _weights(classifier: LinearClassifier) -> LinearWeights:
    """The equivalent classifier on features that are not standardised."""
    weights = np.vstack([classifier.kernel, classifier.bias])
    return LinearWeights(*folded(weights, Standardisation(classifier.mean, classifier.scale)))
