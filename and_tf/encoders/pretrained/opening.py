"""Opens pretrained weights, named by a short text."""

import dataclasses
import logging

import keras

from and_tf.encoders.border import without_border
from and_tf.encoders.pretrained.applications import APPLICATIONS, IMAGE_SIZE, open_application
from and_tf.encoders.pretrained.hub import open_preset
from and_tf.encoders.pretrained.network import Network, as_encoder
from and_tf.errors import NotFound, UserError
from and_tf.runs.places import expanded

logger = logging.getLogger(__name__)

HUB = "hub:"


def open_pretrained(
    spec: str,
    image_size: int | None = None,
    embedding_dim: int | None = None,
    seed: int | None = None,
) -> keras.Model:
    """An encoder with pretrained weights; nothing is downloaded.

    Args:
        spec: one of
            the folder of a run, or a `.keras` file whose model takes pixels in 0..255;
            a name of Keras Applications, such as `MobileNetV2`, whose ImageNet weights are in
            Keras' cache, or `MobileNetV2:FILE` with a file of its weights without the classifier;
            `hub:PRESET`, a preset of keras-hub: a folder, or a name in kagglehub's cache.
        image_size: side in pixels of the images that the encoder takes; None for the network's own.
        embedding_dim: length of the embedding, from a new last layer `fc` with fresh weights; None
            for the pooled last features themselves, or for the embedding that an encoder has.
        seed: of fresh weights.

    Returns:
        A functional `keras.Model`: (B, S, S, 3) uint8 or float images in 0..255 to (B, D) float32
        rows of unit length. The preprocessing that the weights expect is included.

    Raises:
        NotFound: if there is no such run, file, network or preset; names where it was looked for.
        BrokenFile: if a file is corrupt or holds something else; no code from a file is run.
        MissingPackage: if a preset is named and keras-hub is not installed.
        UserError: if the network does not output features, or cannot be built for the size.

    Example:

    >>> encoder = open_pretrained("MobileNetV2:mobilenet_v2_notop.h5", image_size=160)
    >>> embeddings = encoder.predict(images)
    """
    network = _found_network(spec, image_size)
    if image_size not in (None, network.image_size):
        network = _without_border(network)
    encoder, loaded = as_encoder(network, image_size, embedding_dim, seed)
    if loaded.fresh and not (embedding_dim and loaded.fresh == ["fc"]):
        logger.warning("%s at %d pixels: %s.", spec, encoder.input_shape[1], loaded)
    return encoder


def open_network(spec: str, image_size: int | None = None) -> Network:
    """The network that `open_pretrained` builds an encoder from, without a border."""
    return _without_border(_found_network(spec, image_size))


def _without_border(network: Network) -> Network:
    """A network that takes cropped images, rather than cropping larger ones itself."""
    model = without_border(network.model)
    if model is network.model:
        return network
    return dataclasses.replace(network, model=model, image_size=model.input_shape[1])


def _found_network(spec: str, image_size: int | None) -> Network:
    if spec.startswith(HUB):
        return open_preset(spec.removeprefix(HUB))
    name, _, file = spec.partition(":")
    if name in APPLICATIONS:
        return open_application(name, file, image_size)
    return _saved_encoder(spec)


def own_size(spec: str) -> int:
    """A network's own image side in pixels; raises the same errors as `open_pretrained`."""
    if spec.partition(":")[0] in APPLICATIONS:
        return IMAGE_SIZE
    return open_network(spec).image_size


def is_pretrained_name(spec: str) -> bool:
    """Whether a text names a network rather than a path: Keras Applications or a hub preset."""
    return spec.startswith(HUB) or spec.partition(":")[0] in APPLICATIONS


def _saved_encoder(spec: str) -> Network:
    """The encoder of a run or of a `.keras` file."""
    from and_tf.runs.restore import load_encoder  # late, because it builds encoders itself

    path = expanded(spec)
    if not path.exists():
        known = {name.lower(): name for name in APPLICATIONS}
        close = known.get(spec.partition(":")[0].lower())
        hint = f" Did you mean {close}?" if close else ""
        raise NotFound(
            f"{spec} does not exist.{hint} Name the folder of a run, a .keras file, a network of "
            f"Keras Applications ({', '.join(list(APPLICATIONS)[:4])}, ...) or {HUB}PRESET."
        )
    if path.is_file() and path.suffix != ".keras":
        raise UserError(
            f"{path} is not a .keras file: exports of other formats are for inference only."
        )
    model = load_encoder(path)
    try:
        side, width, channels = model.input_shape[1:]
        outputs = len(model.outputs)
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a network for images (B, side, side, 3).") from error
    if channels != 3 or side != width:
        raise UserError(
            f"{path} takes images {model.input_shape[1:]}, not (side, side, 3): save it with such "
            "an input, or name another encoder."
        )
    if outputs != 1:
        raise UserError(
            f"{path} gives {outputs} outputs and must give one: save a keras.Model of the one to "
            "embed by."
        )
    return Network(model, side or 224)
