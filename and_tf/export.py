"""Encoders as files that other programs run: SavedModel, `.keras`, ONNX and LiteRT.

Every export takes uint8 images, normalises inside, gives float32 rows of unit length and computes
in float32, whatever policy the encoder was trained under.
"""

import contextlib
import importlib
import importlib.metadata
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

SUFFIXES = {"savedmodel": "", "keras": ".keras", "onnx": ".onnx", "litert": ".tflite"}
FORMATS = tuple(SUFFIXES)

_DESCRIPTION = Path("assets.extra", "encoder.json")  # inside a SavedModel


def export_encoder(encoder, path, format):
    """Writes an encoder for inference. An export that fails leaves an older one at `path` alone.

    Args:
        encoder: an encoder for RGB images, from `encoders.build` or `load_encoder`.
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
    """
    path = _check_target(path, format)
    if encoder.input_shape[-1] != 3:
        raise ValueError(
            f"Exports take RGB images. Received an encoder for inputs {encoder.input_shape}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        with _quiet():
            _WRITERS[format](_in_float32(encoder), beside / path.name)
        if path.is_dir():  # a directory cannot be renamed onto another
            path.rename(beside / "older")
        (beside / path.name).replace(path)
    except BaseException:
        if (beside / "older").exists():
            (beside / "older").rename(path)
        raise
    finally:
        shutil.rmtree(beside)
    return path


def verify_export(encoder, path, format, images):
    """Compares an export with the encoder it was made of.

    Args:
        encoder: the Keras encoder.
        path, format: as given to `export_encoder`.
        images: (n, side, side, 3) uint8, n > 0; images repeat where n < 8.

    Returns:
        The largest absolute difference of an embedding's value over batches of 1 and of 8, NaN if
        any is. For `savedmodel` the encoded bytes of the images count too.
    """
    reference = _in_float32(encoder)
    run = _LOADERS[format](Path(path))
    differences = []
    for size in (1, 8):
        batch = np.resize(images, (size, *images.shape[1:]))
        expected = reference(batch, training=False).numpy()  # (size, D)
        found = [run(batch)]
        if format == "savedmodel":
            found.append(_embed_encoded(path, batch))
        differences += [np.abs(rows - expected).max() for rows in found]
    return float(np.max(differences))


def load_exported(path):
    """Opens any export for running.

    Args:
        path: a SavedModel directory, or a .keras, .onnx or .tflite file of `export_encoder`.

    Returns:
        An `ExportedEncoder`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Write it with export.py first.")
    formats = {suffix: format for format, suffix in SUFFIXES.items() if suffix}
    format = "savedmodel" if path.is_dir() else formats.get(path.suffix)
    if format is None:
        raise ValueError(
            f"{path} is no exported encoder: expected a SavedModel directory or a file ending in "
            f"{', '.join(formats)}."
        )
    return _LOADERS[format](path)


class ExportedEncoder:
    """An export ready to run, whatever its format.

    Args:
        embed: callable from (B, image_size, image_size, 3) uint8 to (B, embedding_dim).
        image_size: int, side in pixels.
        embedding_dim: int, D.
    """

    def __init__(self, embed, image_size, embedding_dim):
        self._embed = embed
        self.image_size = image_size
        self.embedding_dim = embedding_dim

    def __call__(self, images):
        images = np.asarray(images)
        expected = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(
                f"This encoder takes uint8 images of shape (B, {str(expected)[1:]}. Received "
                f"{images.dtype} of shape {images.shape}: resize and crop them first."
            )
        if len(images) == 0:
            return np.empty((0, self.embedding_dim), np.float32)
        return np.asarray(self._embed(images))  # (B, D)


def resize_and_crop(images, side):
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
    (path / _DESCRIPTION).parent.mkdir(exist_ok=True)
    (path / _DESCRIPTION).write_text(json.dumps(_describe(encoder), indent=2) + "\n")


def _write_keras(encoder, path):
    encoder.save(path)


def _write_onnx(encoder, path):
    tf2onnx, onnx = _require("tf2onnx", "onnx")
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
                f"{_first_line(error)}. Export it as savedmodel or onnx."
            ) from error
    path.write_bytes(content)


def _fixed_size(encoder):
    """The encoder in inference mode as a function of images of its own size, and its signature."""

    def embed(images):
        return {"embeddings": encoder(images, training=False)}

    return embed, [tf.TensorSpec(encoder.input_shape, tf.uint8, name="images")]


def _load_savedmodel(path):
    with _reading(path, "SavedModel"):
        loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if (
        not (path / _DESCRIPTION).is_file()
        or list(inputs) != ["images"]
        or list(signature.structured_outputs) != ["embeddings"]
    ):
        raise _foreign(path)
    with _reading(path, "SavedModel"):
        description = json.loads((path / _DESCRIPTION).read_text())
        image_size, embedding_dim = description["image_size"], description["embedding_dim"]

    def embed(images):  # through `loaded`, which owns the variables and must stay alive
        return loaded.signatures["serving_default"](images=tf.constant(images))["embeddings"]

    return ExportedEncoder(embed, image_size, embedding_dim)


def _load_keras(path):
    with _reading(path, "Keras model"):
        encoder = keras.models.load_model(path, compile=False)
    try:
        _, side, _, channels = encoder.input_shape
        _, embedding_dim = encoder.output_shape
    except (AttributeError, TypeError, ValueError) as error:
        raise _foreign(path) from error
    if channels != 3:
        raise _foreign(path)
    signature = tf.TensorSpec((None, side, side, 3), tf.uint8)
    embed = tf.function(lambda images: encoder(images, training=False), input_signature=[signature])
    return ExportedEncoder(embed, side, embedding_dim)


def _load_onnx(path):
    (onnxruntime,) = _require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    with _reading(path, "ONNX model"):
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [x.name for x in inputs] != ["images"] or [x.name for x in outputs] != ["embeddings"]:
        raise _foreign(path)

    def embed(images):
        return session.run(["embeddings"], {"images": images})[0]

    return ExportedEncoder(embed, inputs[0].shape[1], outputs[0].shape[1])


def _load_litert(path):
    with _reading(path, "LiteRT model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf.lite.Interpreter will move to ai_edge_litert
        interpreter = _litert_interpreter()(str(path))
    if "serving_default" not in interpreter.get_signature_list():
        raise _foreign(path)
    runner = interpreter.get_signature_runner("serving_default")
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    if list(inputs) != ["images"] or list(outputs) != ["embeddings"]:
        raise _foreign(path)

    def embed(images):
        return runner(images=images)["embeddings"]

    image_size = int(inputs["images"]["shape"][1])
    return ExportedEncoder(embed, image_size, int(outputs["embeddings"]["shape"][1]))


def _litert_interpreter():
    """The stand-alone runtime if installed, else the one that TensorFlow still carries."""
    try:
        return importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        return tf.lite.Interpreter


_WRITERS = {
    "savedmodel": _write_savedmodel,
    "keras": _write_keras,
    "onnx": _write_onnx,
    "litert": _write_litert,
}
_LOADERS = {
    "savedmodel": _load_savedmodel,
    "keras": _load_keras,
    "onnx": _load_onnx,
    "litert": _load_litert,
}


def _embed_encoded(path, images):
    loaded = tf.saved_model.load(str(path))
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    return loaded.signatures["encoded_images"](images=encoded)["embeddings"].numpy()


def _in_float32(encoder):
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


def _check_target(path, format):
    if format not in FORMATS:
        raise ValueError(f"Unknown format {format!r}. Known formats: {', '.join(FORMATS)}.")
    path, suffix = Path(path).absolute(), SUFFIXES[format]
    if suffix and path.suffix != suffix:
        raise ValueError(f"format={format} writes a file ending in {suffix}. Received {path}.")
    is_export = (path / "saved_model.pb").exists() or (path.is_dir() and not any(path.iterdir()))
    if path.exists() and (path.is_dir() != (not suffix) or (not suffix and not is_export)):
        raise ValueError(
            f"{path} exists and is no export of format={format}: it is not overwritten. "
            f"Give another path or remove it."
        )
    return path


def _require(*names):
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ImportError(
            f"ONNX needs {', '.join(names)} ({error}): pip install tf2onnx onnx onnxruntime"
        ) from error


@contextlib.contextmanager
def _reading(path, kind):
    """Names the file in whatever a reader raises."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a {kind}: {_first_line(error)}. Export the encoder anew."
        ) from error


def _foreign(path):
    return ValueError(
        f"{path} is not an encoder written by export.py: expected uint8 `images` to `embeddings`."
    )


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__


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
