"""What images cost before the network sees them: python -m benchmarks.input

Crop, jitter, grey and normalisation of the authors' recipe, through the pipeline of train.py with
all cores, beside a plain loop with Pillow on one core (benchmarks/peers/input.py), in turns:

- images of 32 x 32 in memory;
- 1,000 JPEG files with a side of 500 pixels (made here, of smooth colours and noise, quality 90) to
  crops of 224: decoded once and held (`--cache_mb`), and streamed, decoded at each epoch. The
  pipeline cuts its crops from squares of 256 pixels, the loop from the whole image.

Memory is the peak of the streamed epochs above that before them.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from and_tf.data import array_source, open_source, train_pipeline
from and_tf.data.cache import cached
from and_tf.data.settings import AugmentationSettings
from benchmarks.peers.input import augmented
from benchmarks.timing import arguments, medians, peak_mb, resident_mb, show

SMALL, SIDE, LOADED, CROP = 32, 500, 256, 224  # pixels
REPEATED = 30  # times that the images are in an epoch


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=12_800, help="of 32 x 32, in a measurement")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--peer_images", type=int, default=640, help="that Pillow augments")
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), options.files)
        measured, streamed_mb = measure(Path(folder), options)
    one_core = {name: "Pillow" in name for name in measured}
    cores = len(os.sched_getaffinity(0))
    rows = [
        {
            "case": name,
            "cores": 1 if one_core[name] else cores,
            "images/s and core": 1 / cost,
            "ms an image and core": 1e3 * cost,
        }
        for name, cost in (
            (name, seconds * (1 if one_core[name] else cores) / images)
            for name, (seconds, images) in measured.items()
        )
    ]
    show("Input: decoding and augmentation", rows, options.json, streamed_mb=streamed_mb)
    print(f"\nStreaming took {streamed_mb:,.0f} MB at most.")


def measure(folder: Path, options) -> tuple[dict[str, tuple[float, int]], float]:
    """{case: (median seconds, images)}, and the memory of streaming in MB."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (options.images, SMALL, SMALL, 3), np.uint8)
    photos = open_source(f"folder:{folder}")
    streams = Stream(photos, CROP, options.batch)
    before = resident_mb()
    streamed_mb = peak_mb(lambda: streams.seconds(2 * options.files)) - before
    cases = {
        "32 px in memory": (Stream(array_source(small), SMALL, options.batch), len(small)),
        "500 px JPEG, held": (
            Stream(cached(photos, CROP), CROP, options.batch),
            options.files,
        ),
        "500 px JPEG, streamed": (streams, options.files),
        **_peers(small[: options.peer_images], sorted(folder.iterdir())[: options.peer_images]),
    }
    found = {name: [] for name in cases}
    for _ in range(options.repeats):
        for name, (case, images) in cases.items():
            found[name].append(case.seconds(images))
    return {
        name: (medians(found)[name], images) for name, (_, images) in cases.items()
    }, streamed_mb


class Stream:
    """Batches in the midst of a long epoch by the pipeline of train.py, started anew each time.

    The start of a pipeline is no part of what is timed, and it ends with its turn: what it makes
    ahead would run beside the next case. What it has made ahead when the clock starts is made up
    for by what it has made ahead when it stops.
    """

    def __init__(self, source, side: int, batch: int):
        augmentation, batch = AugmentationSettings(image_size=side), min(batch, len(source))
        self.pipeline = train_pipeline(_Repeated(source), batch, augmentation)

    def seconds(self, images: int) -> float:
        batches = iter(self.pipeline)
        _take(batches, images // 3)
        start = time.perf_counter()
        _take(batches, images)
        return time.perf_counter() - start


class _Repeated:
    """A source that holds the images of another one many times."""

    def __init__(self, source):
        self.source, self.name = source, source.name

    def __len__(self) -> int:
        return REPEATED * len(self.source)

    def load_crops(self, indices, noise, augmentation):
        return self.source.load_crops(indices % len(self.source), noise, augmentation)


def _take(batches: Iterator, images: int) -> None:
    while images > 0:
        images -= len(next(batches)[1])


class PillowLoop:
    """The same by Pillow, one image after another."""

    def __init__(self, images: Callable[[], Iterator[Image.Image]], side: int):
        self.images, self.side = images, side

    def seconds(self, images: int) -> float:
        start = time.perf_counter()
        assert sum(1 for _ in augmented(self.images(), self.side)) == images
        return time.perf_counter() - start


def _peers(small: np.ndarray, paths: list[Path]) -> dict[str, tuple[PillowLoop, int]]:
    def arrays():
        return (Image.fromarray(image) for image in small)

    def files():
        return (Image.open(path).convert("RGB") for path in some)

    some = paths[: max(1, len(paths) // 4)]
    return {
        "32 px in memory, Pillow": (PillowLoop(arrays, SMALL), len(small)),
        "500 px JPEG, Pillow": (PillowLoop(files, CROP), len(some)),
    }


def write_photos(folder: Path, number: int) -> None:
    """JPEG files of `SIDE` pixels: smooth colours with noise, as large as photos (about 80 KB)."""
    generator = np.random.default_rng(0)
    for place in range(number):
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
        noisy = smooth + generator.normal(0, 6, smooth.shape)
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        image.save(folder / f"{place:05}.jpg", quality=90)


if __name__ == "__main__":
    main()
