"""The encoder that embeds a collection."""

import keras
import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.encoders.pooling import pooled_features
from and_tf.encoders.pretrained import is_pretrained_name, open_pretrained
from and_tf.encoders.stages import AUTO_LAYER
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.export import ExportedEncoder, load_exported
from and_tf.runs.places import expanded
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir, newest_run


def open_encoder(
    model: str, checkpoint: str = "last", layer: str = AUTO_LAYER, trust_model: bool = False
) -> ExportedEncoder:
    """Opens an exported encoder, the encoder of a run, or pretrained weights.

    Args:
        model: path of an export or of a run's folder, or what `open_pretrained` takes, such as
            `MobileNetV2`; empty for the newest run.
        checkpoint: of a run: `last`, `best` or `round_N`.
        layer: layer whose features to use, see `pooled_features`. An export has only the layer for
            which it was exported, unless it is a `.keras` file.
        trust_model: see `load_exported`.

    Raises:
        UserError: if there is no such model, checkpoint or layer, or if it is corrupt.
    """
    is_pretrained = is_pretrained_name(model) or model.endswith(".keras")
    if is_pretrained and checkpoint == "last":
        encoder = open_pretrained(model)
        features = encoder if layer == AUTO_LAYER else pooled_features(encoder, layer)
        return in_memory(features, model)
    path = expanded(model) if model else newest_run().path
    if Workdir(path).flags.is_file():
        return in_memory(pooled_features(load_encoder(path, checkpoint), layer), str(path))
    if checkpoint != "last":
        raise UserError(
            Argument("checkpoint", checkpoint),
            f" is for runs, and {path} is not one: leave it out.",
        )
    if layer != AUTO_LAYER:
        raise UserError(
            Argument("layer", layer), f" is for runs and .keras files, and the layer of {path} was "
            "chosen at export: leave it out, or export the run with that layer.",
        )  # fmt: skip
    return load_exported(path, trust_model)


def in_memory(model: keras.Model, name: str = "The encoder") -> ExportedEncoder:
    """A Keras model from images (B, side, side, 3) to rows (B, D), used like an export."""
    side, dim = model.input_shape[1], model.output_shape[-1]
    return ExportedEncoder(model.predict_on_batch, side, dim, name=name)


def embed_source(encoder: ExportedEncoder, source: Source, batch_size: int) -> np.ndarray:
    """Embeddings (N, D) float32 of all images of a source, in its order.

    All batches have the same size, with the last one padded by black images. Kernels are chosen by
    batch size, so an image has the same embedding to the last bit whatever else is in its batch.

    Raises:
        BrokenFile: if the encoder returns values that are not finite.
    """
    embeddings = np.empty((len(source), encoder.embedding_dim), np.float32)
    with progress_bar(len(source), "embedding images") as bar:
        for start in range(0, len(source), batch_size):
            indices = np.arange(start, min(start + batch_size, len(source)))
            images = source.load(indices, encoder.image_size)
            missing = batch_size - len(indices)
            images = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)])
            embeddings[indices] = encoder(images)[: len(indices)]
            bar.update(len(indices))
    check_finite(embeddings, encoder)
    return embeddings


def check_finite(embeddings: np.ndarray, encoder: ExportedEncoder) -> None:
    """Raises `BrokenFile`, which names the encoder, if a value is NaN or infinite."""
    if not np.isfinite(embeddings).all():
        raise BrokenFile(
            f"{encoder.name} gives NaN embeddings: it is corrupt, or its training diverged. Export "
            "it again, or choose another encoder."
        )
