"""Networks of Keras Applications: their files of weights, and the pixels that these expect."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import keras

from and_tf.encoders.pretrained.network import Network
from and_tf.errors import Argument, BrokenFile, NotFound, UserError
from and_tf.runs.places import expanded

logger = logging.getLogger(__name__)

IMAGE_SIZE = 224  # pixels, by default
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels in 0..1


# If several are in the cache, the first is used; in order of accuracy for the cost on a CPU.
PREFERRED = ("EfficientNetV2B0", "EfficientNetB0", "MobileNetV3Large", "MobileNetV2")


class Pixels(NamedTuple):
    """What weights expect: `scale * pixel + offset` in RGB order, perhaps then reversed to BGR."""

    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    reverses_channels: bool = False
    normalised_scale: tuple[float, ...] = (1.0, 1.0, 1.0)


SIGNED = Pixels((1 / 127.5,) * 3, (-1.0,) * 3)  # "tf" in keras.applications.imagenet_utils
CAFFE = Pixels((1.0,) * 3, (-123.68, -116.779, -103.939), reverses_channels=True)
TORCH = Pixels(
    tuple(1 / (255 * std) for std in IMAGENET_STD),
    tuple(-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)),
)
INSIDE = Pixels()  # the network begins with its own preprocessing
# Only with weights="imagenet" does Keras also divide by the square root of the standard deviation.
EFFICIENTNET = Pixels(normalised_scale=tuple(std**-0.5 for std in IMAGENET_STD))


class Application(NamedTuple):
    """A network of Keras Applications.

    Attributes:
        file: name of the file in Keras' cache with its ImageNet weights, without the classifier.
        pixels: what the weights expect.
    """

    file: str
    pixels: Pixels


def _family(
    name: str, variants: Iterable[object], file: str, pixels: Pixels
) -> dict[str, Application]:
    """Networks whose names and file names differ in one part."""
    return {
        name.format(variant): Application(file.format(str(variant).lower()), pixels)
        for variant in variants
    }


_TF = "weights_tf_dim_ordering_tf_kernels_notop.h5"
_MOBILE_V2 = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
_MOBILE_V3 = "weights_mobilenet_v3_{}_224_1.0_float_no_top_v2.h5"

APPLICATIONS: dict[str, Application] = {
    "MobileNet": Application("mobilenet_1_0_224_tf_no_top.h5", SIGNED),
    "MobileNetV2": Application(_MOBILE_V2, SIGNED),
    **_family("MobileNetV3{}", ("Small", "Large"), _MOBILE_V3, INSIDE),
    **_family("EfficientNetB{}", range(8), "efficientnetb{}_notop.h5", EFFICIENTNET),
    **_family("EfficientNetV2B{}", range(4), "efficientnetv2-b{}_notop.h5", INSIDE),
    **_family("EfficientNetV2{}", "SML", "efficientnetv2-{}_notop.h5", INSIDE),
    **_family("ResNet{}", (50, 101, 152), f"resnet{{}}_{_TF}", CAFFE),
    **_family("ResNet{}V2", (50, 101, 152), f"resnet{{}}v2_{_TF}", SIGNED),
    **_family("DenseNet{}", (121, 169, 201), f"densenet{{}}_{_TF}", TORCH),
    **_family("VGG{}", (16, 19), f"vgg{{}}_{_TF}", CAFFE),
    "InceptionV3": Application(f"inception_v3_{_TF}", SIGNED),
    "InceptionResNetV2": Application(f"inception_resnet_v2_{_TF}", SIGNED),
    "Xception": Application(f"xception_{_TF}", SIGNED),
    **_family("NASNet{}", ("Mobile", "Large"), "nasnet_{}_no_top.h5", SIGNED),
    **_family(
        "ConvNeXt{}", ("Tiny", "Small", "Base", "Large", "XLarge"), "convnext_{}_notop.h5", INSIDE
    ),
}


def open_application(name: str, weights: str = "", image_size: int | None = None) -> Network:
    """A network of Keras Applications with weights from a file; nothing is downloaded.

    Args:
        name: a key of `APPLICATIONS`.
        weights: a file of its weights without the classifier; empty for the one that Keras keeps in
            `~/.keras/models` once it has downloaded it.
        image_size: side in pixels; None for 224.

    Raises:
        NotFound: if there is no such file; names the path where it was looked for.
        BrokenFile: if the file does not hold these weights.
        UserError: if the network cannot be built for the size.
    """
    application = APPLICATIONS[name]
    path = _weights_file(name, application, weights)
    size = image_size or IMAGE_SIZE
    try:
        model = getattr(keras.applications, name)(
            include_top=False, weights=None, input_shape=(size, size, 3)
        )
    except ValueError as error:
        raise UserError(
            f"{name} cannot be built for ", Argument("image_size", size),
            f" ({str(error).partition(chr(10))[0][:200]}).",
        ) from error  # fmt: skip
    try:
        model.load_weights(path)
    except Exception as error:  # a file that does not fit causes many kinds of exceptions
        raise BrokenFile(
            f"{path} does not hold the weights of {name} without its classifier "
            f"({str(error).partition(chr(10))[0][:200]}): give the file {application.file}."
        ) from error
    return Network(model, IMAGE_SIZE, *application.pixels)


def cached_applications() -> list[str]:
    """The networks whose weights Keras keeps on this machine, `PREFERRED` ones first.

    A truncated file is skipped with a warning.
    """
    order = [*PREFERRED, *(name for name in APPLICATIONS if name not in PREFERRED)]
    files = {name: _cached_file(APPLICATIONS[name]) for name in order}
    return [name for name, file in files.items() if file.is_file() and _is_whole(file)]


def _is_whole(path: Path) -> bool:
    """Whether a file of weights can be opened, which a truncated one cannot."""
    import h5py

    try:
        with h5py.File(path):
            return True
    except OSError:
        logger.warning(
            "%s is not a complete weights file, perhaps of an interrupted download: it is ignored. "
            "Remove it.", path,
        )  # fmt: skip
        return False


def _cached_file(application: Application) -> Path:
    home = expanded(os.environ.get("KERAS_HOME") or "~/.keras")
    return home / "models" / application.file


def _weights_file(name: str, application: Application, weights: str) -> Path:
    if weights:
        path = expanded(weights)
        if not path.is_file():
            raise NotFound(f"{path}, the weights of {name}, does not exist.")
        return path
    path = _cached_file(application)
    if not path.is_file():
        raise NotFound(
            f"The weights of {name} are not on this machine: {path} does not exist, and nothing is "
            f"downloaded. Run keras.applications.{name}(include_top=False) once on a machine with "
            f"a network and copy the file there, or name it as {name}:FILE."
        )
    return path
