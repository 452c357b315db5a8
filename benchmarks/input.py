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
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from and_tf.data import array_source, open_source, train_pipeline
from and_tf.data.augment import Augmentation
from and_tf.data.passes import cached
from benchmarks.peers.input import augmented
from benchmarks.timing import arguments, interleaved, medians, peak_mb, resident_mb, show

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
    streams = _batches(photos, CROP, LOADED, options.batch)
    before = resident_mb()
    streamed_mb = peak_mb(lambda: _take(streams, 2 * options.files)) - before
    held = _batches(cached(photos, LOADED), CROP, LOADED, options.batch)
    in_memory = _batches(array_source(small), SMALL, SMALL, options.batch)
    cases: dict[str, tuple[Callable, int]] = {
        "32 px in memory": (lambda: _take(in_memory, options.images), options.images),
        "500 px JPEG, held": (lambda: _take(held, options.files), options.files),
        "500 px JPEG, streamed": (lambda: _take(streams, options.files), options.files),
    }
    cases |= _peers(small[: options.peer_images], sorted(folder.iterdir())[: options.peer_images])
    calls = {name: call for name, (call, _) in cases.items()}
    seconds = medians(interleaved(calls, options.repeats))
    return {name: (seconds[name], images) for name, (_, images) in cases.items()}, streamed_mb


def _batches(source, side: int, load_size: int, batch: int) -> Iterator:
    """Batches of one long epoch by the pipeline of train.py: its start is no part of what is timed.

    What it makes ahead, in the turns of others, is made up for by what it makes ahead at the end.
    """
    augmentation = Augmentation(image_size=side)
    batch = min(batch, len(source))
    return iter(train_pipeline(_Repeated(source), batch, augmentation, load_size=load_size))


class _Repeated:
    """A source that holds the images of another one many times."""

    def __init__(self, source):
        self.source, self.name = source, source.name

    def __len__(self) -> int:
        return REPEATED * len(self.source)

    def load(self, indices: np.ndarray, size: int) -> np.ndarray:
        return self.source.load(indices % len(self.source), size)


def _take(batches: Iterator, images: int) -> None:
    while images > 0:
        images -= len(next(batches)[1])


def _peers(small: np.ndarray, paths: list[Path]) -> dict[str, tuple[Callable, int]]:
    def arrays():
        return (Image.fromarray(image) for image in small)

    def files():
        return (Image.open(path).convert("RGB") for path in some)

    some = paths[: max(1, len(paths) // 4)]
    return {
        "32 px in memory, Pillow": (lambda: sum(1 for _ in augmented(arrays(), SMALL)), len(small)),
        "500 px JPEG, Pillow": (lambda: sum(1 for _ in augmented(files(), CROP)), len(some)),
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
