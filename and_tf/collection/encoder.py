"""The encoder that embeds a collection."""

from pathlib import Path

import keras
import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.data.sources.source import Source
from and_tf.encoders.pretrained import is_pretrained_name, open_pretrained
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.export import ExportedEncoder, load_exported
from and_tf.runs.restore import load_encoder
from and_tf.runs.workdir import Workdir, newest_run


def open_encoder(model: str, checkpoint: str = "last") -> ExportedEncoder:
    """An exported encoder, the one of a run, or weights that others have learned.

    Args:
        model: path of an export or of a run's folder, or what `open_pretrained` takes, such as
            `MobileNetV2`; empty for the newest run.
        checkpoint: of a run: `last`, `best` or `round_N`.

    Raises:
        UserError: if there is no such model or checkpoint, or if it is corrupt.
    """
    is_pretrained = is_pretrained_name(model) or model.endswith(".keras")
    if is_pretrained and checkpoint == "last":
        return _in_memory(open_pretrained(model))
    path = Path(model).expanduser() if model else newest_run().path
    if Workdir(path).flags.is_file():
        return _in_memory(load_encoder(path, checkpoint))
    if checkpoint != "last":
        raise UserError(
            Argument("checkpoint", checkpoint), f" is of a run, and {path} is none: leave it out."
        )
    return load_exported(path)


def _in_memory(encoder: keras.Model) -> ExportedEncoder:
    size, dim = encoder.input_shape[1], encoder.output_shape[-1]
    return ExportedEncoder(encoder.predict_on_batch, size, dim)


def embed_source(encoder: ExportedEncoder, source: Source, batch_size: int) -> np.ndarray:
    """Embeddings (N, D) float32 of all images of a source, in its order.

    All batches have one size, the last filled up with black images: kernels are chosen by the size,
    and so an image has the same embedding to the last bit, whichever others are embedded with it.

    Raises:
        BrokenFile: if the encoder gives values that are not finite.
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
    if not np.isfinite(embeddings).all():
        raise BrokenFile("The encoder gives NaN embeddings: it is corrupt, export it anew.")
    return embeddings
