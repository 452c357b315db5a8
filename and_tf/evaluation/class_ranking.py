"""The classes that linear classifiers predict for images streamed through the encoder."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from and_tf.data.decode import centre
from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.data.workers import one_ahead
from and_tf.errors import UserError
from and_tf.evaluation.features import layers_model, model_features
from and_tf.evaluation.linear_sgd import LinearWeights
from and_tf.evaluation.square_crops import ten_crops

TOP = 5


def rank_classes(
    encoder: keras.Model,
    classifiers: Mapping[str, LinearWeights],
    source: Source,
    size: int,
    resized: int,
    crops: int = 1,
    max_values: int | None = 9600,
    batch_size: int = 256,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """The most probable classes of each image, according to the classifiers of several layers.

    Images are streamed, so features and scores are never held for all images at once.

    Args:
        encoder: an encoder of `and_tf.encoders`.
        classifiers: {layer: classifier}.
        source: of the images.
        size: S, side of the encoder's input in pixels.
        resized: R, to which the shorter side of an image is resized, at least S.
        crops: 1, the centre; or 10, `ten_crops`, whose probabilities are averaged.
        max_values: as in training.
        batch_size: images, or crops, per step.
        progress: show a progress bar on terminals.

    Returns:
        {layer: (Q, min(5, C)) int}, the most probable class first; ties go to the lower class.

    Raises:
        UserError: if the scores are not finite.
    """
    model = layers_model(encoder, list(classifiers))
    features_of = model_features(model, size, max_values)
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in classifiers}
    step = max(1, batch_size // crops)

    def load(start: int) -> np.ndarray:
        squares = source.load(np.arange(start, min(start + step, len(source))), resized)
        return ten_crops(squares, size) if crops > 1 else centre(squares, size)

    with progress_bar(len(source), "classifying", is_shown=progress) as bar:
        for images in one_ahead(load, range(0, len(source), step)):
            features = features_of(images.reshape(-1, *images.shape[-3:]))
            for (layer, weights), each in zip(classifiers.items(), features, strict=True):
                probabilities = _probabilities(each, weights, crops)
                if not np.isfinite(probabilities).all():
                    raise UserError(f"The scores of layer {layer} are not finite.")
                parts[layer].append(ranked(probabilities))
            bar.update(len(images))
    return {layer: np.concatenate(found) for layer, found in parts.items()}


def _probabilities(features: tf.Tensor, weights: LinearWeights, crops: int) -> np.ndarray:
    """(B, C): probabilities from features (B * crops, F), averaged over the crops of an image."""
    logits = tf.matmul(features, weights.kernel) + weights.bias
    found = tf.nn.softmax(logits).numpy()
    return found.reshape(-1, crops, found.shape[1]).mean(axis=1)


def ranked(scores: np.ndarray) -> np.ndarray:
    """(B, min(5, C)) int: classes of the highest scores (B, C); ties go to the lower class."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
