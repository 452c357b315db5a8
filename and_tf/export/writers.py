"""Writing an encoder for inference, beside its place and then renamed into it."""

import contextlib
import importlib.metadata
import json
import logging
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from and_tf.export.formats import DESCRIPTION, FORMATS, SUFFIXES, first_line, require
from and_tf.export.readers import load_exported


def export_encoder(encoder: keras.Model, path: Path | str, format: str) -> Path:
    """Writes an encoder for inference. An export that fails leaves an older one at `path` alone.

    Args:
        encoder: an encoder for RGB images, from `encoders.build_encoder` or `load_encoder`.
        path: a directory for `savedmodel`, else a file ending in .keras, .onnx or .tflite.
        format: one of FORMATS.
            `savedmodel`: signature `serving_default` takes `images`, a uint8 batch of any one size
            (B, H, W, 3), resizes the shorter side with antialiasing and crops the centre;
            `encoded_images` takes `images`, a vector of JPEG, PNG, BMP, GIF (first frame) or WebP
            bytes of any sizes, and ignores EXIF orientation, as TensorFlow's decoders do.
            `keras`: the encoder itself, for `keras.models.load_model`.
            `onnx`, `litert`: `images` is uint8 (B, side, side, 3) of the encoder's own side, B
            free (LiteRT: signature `serving_default`, or resize the input tensor). LiteRT's
            built-in operations suffice.
            All but `keras` name their output `embeddings`.

    Returns:
        The Path written.

    Raises:
        ValueError: for another format, suffix or encoder, or if `path` holds what is no export.
        ImportError: if a converter is missing.
    """
    path = _check_target(path, format)
    if encoder.input_shape[-1] != 3:
        raise ValueError(
            f"Exports take RGB images. Received an encoder for inputs {encoder.input_shape}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    newer, older = beside / f"newer{SUFFIXES[format]}", beside / "older"
    try:
        with _quiet():
            _WRITERS[format](in_float32(encoder), newer)
        if path.is_dir():  # a directory cannot be renamed onto another
            path.rename(older)
        newer.replace(path)
    except BaseException:
        if older.exists():
            older.rename(path)
        raise
    finally:
        shutil.rmtree(beside)
    return path


def _check_target(path, format):
    """The absolute path, if nothing stands there or what stands there is ours."""
    if format not in FORMATS:
        raise ValueError(f"Unknown format {format!r}. Known formats: {', '.join(FORMATS)}.")
    path, suffix = Path(path).absolute(), SUFFIXES[format]
    if suffix and path.suffix != suffix:
        raise ValueError(f"format={format} writes a file ending in {suffix}. Received {path}.")
    if any(parent.is_file() for parent in path.parents):
        raise ValueError(f"{path} lies below a file: give another path.")
    if path.exists() and not _may_be_replaced(path, is_file=bool(suffix)):
        raise ValueError(
            f"{path} exists and is no export of format={format}: it is not overwritten. "
            f"Give another path or remove it."
        )
    return path


def _may_be_replaced(path, is_file):
    """Whether a path holds an export or nothing: another model may be all that its owner has."""
    if is_file != path.is_file():
        return False
    if not (path.stat().st_size if is_file else any(path.iterdir())):
        return True
    if not is_file:
        return (path / DESCRIPTION).is_file()
    try:
        load_exported(path)
    except ValueError:
        return False
    return True


def resize_and_crop(images: tf.Tensor, side: int) -> tf.Tensor:
    """Shorter side resized to `side` with antialiasing, then the centre, rounded to uint8.

    Images that have this size already come out unchanged.

    Args:
        images: (..., H, W, 3) uint8 tensor, three or four dimensions.
        side: int, pixels.

    Returns:
        (..., side, side, 3) uint8 tensor.
    """
    size = tf.shape(images)[-3:-1]  # (2,)
    # In whole numbers, so that the shorter side is exact and halves round up.
    shorter = tf.reduce_min(size)
    size = (2 * size * side + shorter) // (2 * shorter)
    resized = tf.image.resize(images, size, antialias=True)
    top, left = tf.unstack((size - side) // 2)
    cropped = resized[..., top : top + side, left : left + side, :]
    cropped = tf.ensure_shape(cropped, (*images.shape[:-3], side, side, images.shape[-1]))
    return tf.cast(tf.clip_by_value(tf.round(cropped), 0, 255), tf.uint8)


def _write_savedmodel(encoder, path):
    side = encoder.input_shape[1]

    def embed(images):
        # Not keras.layers.Resizing: it would put the BatchNorm after it in training mode.
        return {"embeddings": encoder(resize_and_crop(images, side), training=False)}

    def embed_encoded(images):
        def decode(encoded):
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return resize_and_crop(tf.ensure_shape(image, (None, None, 3)), side)

        output = tf.TensorSpec((side, side, 3), tf.uint8)
        pixels = tf.map_fn(decode, images, fn_output_signature=output)
        return {"embeddings": encoder(pixels, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint(
        "serving_default",
        embed,
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="images")],
    )
    archive.add_endpoint(
        "encoded_images",
        embed_encoded,
        input_signature=[tf.TensorSpec((None,), tf.string, name="images")],
    )
    archive.write_out(str(path), verbose=False)
    (path / DESCRIPTION).parent.mkdir(exist_ok=True)
    (path / DESCRIPTION).write_text(json.dumps(_describe(encoder), indent=2) + "\n")


def _write_keras(encoder, path):
    encoder.save(path)


def _write_onnx(encoder, path):
    tf2onnx, onnx = require("tf2onnx", "onnx")
    embed, signature = _fixed_size(encoder)
    compiled = tf.function(embed, input_signature=signature, autograph=False)
    model, _ = tf2onnx.convert.from_function(compiled, signature)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(model, {k: str(v) for k, v in _describe(encoder).items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_litert(encoder, path):
    embed, signature = _fixed_size(encoder)
    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.add_endpoint("serving_default", embed, input_signature=signature)
    with tempfile.TemporaryDirectory() as directory:
        archive.write_out(directory, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=["serving_default"]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:
            raise ValueError(
                f"{encoder.name} cannot be written with LiteRT's built-in operations alone: "
                f"{first_line(error)}. Export it as savedmodel or onnx."
            ) from error
    path.write_bytes(content)


def _fixed_size(encoder):
    """The encoder in inference mode as a function of images of its own size, and its signature."""

    def embed(images):
        return {"embeddings": encoder(images, training=False)}

    return embed, [tf.TensorSpec(encoder.input_shape, tf.uint8, name="images")]


def in_float32(encoder: keras.Model) -> keras.Model:
    """The encoder, or a float32 copy of one with a mixed-precision policy."""
    if all(getattr(layer, "compute_dtype", "float32") == "float32" for layer in encoder.layers):
        return encoder

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):
            config["dtype"] = "float32"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(encoder, clone_function=clone)
    copy.set_weights(encoder.get_weights())
    return copy


def _describe(encoder):
    try:
        version = importlib.metadata.version("and-tf")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        version = "unknown"
    return {
        "image_size": encoder.input_shape[1],
        "embedding_dim": encoder.output_shape[-1],
        "encoder": encoder.name,
        "and_tf_version": version,
    }


@contextlib.contextmanager
def _quiet():
    """Leaves the converters' errors and drops their running commentary."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "tf2onnx", "absl")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_WRITERS = {
    "savedmodel": _write_savedmodel,
    "keras": _write_keras,
    "onnx": _write_onnx,
    "litert": _write_litert,
}
