"""Ways from a JPEG file to a random crop of it: python -m benchmarks.decoders

Files with a side of 500 pixels, as `benchmarks.input` makes them, decoded and cut to 224, on one
thread. The last column is the largest difference of a pixel from what `and_tf` gives: a decoder
that sees no more than the crop lacks the colours beside it.
"""

import importlib.util
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from and_tf.data.augmentation.columns import VALUES_PER_IMAGE
from and_tf.data.augmentation.crop_box import Box, crop_box
from and_tf.data.crops import training_image
from and_tf.data.settings import AugmentationSettings
from benchmarks.input import CROP, SIDE, write_photos
from benchmarks.timing import arguments, interleaved, medians, show

Decoder = Callable[[bytes, Box], np.ndarray]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--files", type=int, default=100)
    options = parser.parse_args()
    settings = AugmentationSettings(image_size=CROP)
    noise = np.random.default_rng(0).random((options.files, VALUES_PER_IMAGE), np.float32)
    boxes = [crop_box(values, SIDE, SIDE, settings) for values in noise]
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), options.files)
        files = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    ours = [
        training_image(file, values, settings).pixels
        for file, values in zip(files, noise, strict=True)
    ]

    def all_by(decoder: Decoder) -> Callable[[], list[np.ndarray]]:
        return lambda: [decoder(file, box) for file, box in zip(files, boxes, strict=True)]

    cases: dict[str, Callable[[], list[np.ndarray]]] = {
        "and_tf": lambda: [
            training_image(file, values, settings).pixels
            for file, values in zip(files, noise, strict=True)
        ],
        **{name: all_by(decoder) for name, decoder in decoders().items()},
    }
    seconds = medians(interleaved(cases, options.repeats))
    rows = [
        {
            "way": name,
            "ms an image": 1e3 * seconds[name] / options.files,
            "relative to and_tf": f"{seconds[name] / seconds['and_tf']:.2f}",
            "largest difference": difference(case(), ours),
        }
        for name, case in cases.items()
    ]
    show("JPEG of 500 x 500 pixels to a crop of 224 x 224", rows, options.json)


def decoders() -> dict[str, Decoder]:
    """The alternatives to `and_tf`; some need a package that may not be installed."""
    found: dict[str, Decoder] = {
        "Pillow, whole": by_pillow,
        "libjpeg-turbo of TensorFlow, whole": by_tensorflow,
        "libjpeg-turbo of TensorFlow, the crop alone": crop_by_tensorflow,
    }
    if importlib.util.find_spec("simplejpeg"):
        found["libjpeg-turbo of simplejpeg, whole"] = by_simplejpeg
        found["libjpeg-turbo of simplejpeg, half size where the crop is large"] = half_by_simplejpeg
    return found


def by_pillow(file: bytes, box: Box) -> np.ndarray:
    return resized(np.asarray(Image.open(io.BytesIO(file)).convert("RGB")), box)


def by_tensorflow(file: bytes, box: Box) -> np.ndarray:
    return resized(tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE").numpy(), box)


def crop_by_tensorflow(file: bytes, box: Box) -> np.ndarray:
    window = [box.top, box.left, box.height, box.width]
    found = tf.io.decode_and_crop_jpeg(file, window, dct_method="INTEGER_ACCURATE").numpy()
    return resized(found, box._replace(top=0, left=0))


def by_simplejpeg(file: bytes, box: Box) -> np.ndarray:
    import simplejpeg

    return resized(simplejpeg.decode_jpeg(file), box)


def half_by_simplejpeg(file: bytes, box: Box) -> np.ndarray:
    """Decodes at half the size if the crop is still at least as large as its final size."""
    import simplejpeg

    if min(box.height, box.width) < 2 * CROP:
        return by_simplejpeg(file, box)
    half = simplejpeg.decode_jpeg(file, min_width=SIDE // 2, min_height=SIDE // 2, min_factor=2)
    return resized(half, Box(*(value // 2 for value in box)))


def resized(image: np.ndarray, box: Box) -> np.ndarray:
    """A box of an image, resized to (CROP, CROP, 3) uint8."""
    cut = image[box.top : box.top + box.height, box.left : box.left + box.width]
    return np.asarray(Image.fromarray(cut).resize((CROP, CROP), Image.Resampling.BILINEAR))


def difference(images: list[np.ndarray], others: list[np.ndarray]) -> int:
    pairs = zip(images, others, strict=True)
    return max(int(np.abs(one.astype(int) - other.astype(int)).max()) for one, other in pairs)


if __name__ == "__main__":
    main()
