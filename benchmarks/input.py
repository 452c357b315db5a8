"""What images cost before the network sees them: python -m benchmarks.input

Crop, jitter, grey and normalisation of the authors' recipe, through the pipeline of train.py with
all cores, beside a plain loop with Pillow on one core (benchmarks/peers/input.py) and one with the
transforms of torchvision, where that is installed, in turns:

- images of 32 x 32 in memory;
- 1,000 JPEG files with a side of 500 pixels (made here, of smooth colours and noise, quality 90) to
  crops of 224: decoded once and held (`--cache_mb`), and streamed, decoded at each epoch;
- the same, streamed by as many processes as cores (`--input_processes`);
- decoding them alone, beside TensorFlow's decoder, which is libjpeg-turbo and little else.

CPU time is that of all threads and processes, so it says what an image costs also on a machine that
is not quiet; the time on the clock says besides whether they wait for each other. Memory is the
peak of the streamed epochs, loaded by threads, above that before them.
"""

import importlib.util
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from and_tf.data import array_source, open_source, train_pipeline
from and_tf.data.cache import cached
from and_tf.data.decode import load_image
from and_tf.data.photo_processes import PhotoProcesses
from and_tf.data.settings import AugmentationSettings
from and_tf.data.workers import num_cores
from benchmarks.peers.input import augmented, augmented_by_torchvision
from benchmarks.timing import arguments, peak_mb, resident_mb, show

SMALL, SIDE, CROP = 32, 500, 224  # pixels


class Cost(NamedTuple):
    """Wall-clock seconds, and CPU seconds of all threads and processes, for some images."""

    clock: float
    cpu: float


class Case(NamedTuple):
    """A way to load images, how many to load, and the cores that it may use."""

    cost: Callable[[int], Cost]
    images: int
    cores: int = 1


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=12_800, help="of 32 x 32, in a measurement")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--photos", type=int, default=3_840, help="read of them, in a measurement")
    parser.add_argument("--peer_images", type=int, default=640, help="of each loop")
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), options.files)
        photos = open_source(f"folder:{folder}")
        streamed = Stream(photos, CROP, options.batch, options.photos)
        before = resident_mb()
        streamed_mb = peak_mb(lambda: streamed.cost(options.photos)) - before
        with PhotoProcesses(num_cores()) as processes:
            shared = Stream(photos, CROP, options.batch, options.photos, processes)
            cases = {
                **pipelines(photos, streamed, shared, options),
                **loops(photos.items, options),
            }
            rows = measured(cases, options.repeats)
    show("Input: decoding and augmentation", rows, options.json, streamed_mb=streamed_mb)
    print(f"\nStreaming took {streamed_mb:,.0f} MB at most.")


def measured(cases: dict[str, Case], repeats: int) -> list[dict[str, object]]:
    """The medians of all cases, which are measured in turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            costs[name].append(case.cost(case.images))
    return [row(name, cases[name], costs[name]) for name in cases]


def row(name: str, case: Case, costs: list[Cost]) -> dict[str, object]:
    on_clock = case.cores * statistics.median(cost.clock for cost in costs) / case.images
    cpu = statistics.median(cost.cpu for cost in costs) / case.images
    return {
        "case": name,
        "cores": case.cores,
        "images/s and core": 1 / on_clock,
        "ms an image and core": 1e3 * on_clock,
        "CPU ms an image": 1e3 * cpu,
    }


def pipelines(photos, streamed: "Stream", shared: "Stream", options) -> dict[str, Case]:
    """The pipelines of train.py, with all cores."""
    cores = num_cores()
    held = Stream(cached(photos, CROP), CROP, options.batch, options.photos)
    small = array_source(noise_images(options.images))
    in_memory = Stream(small, SMALL, options.batch, options.images)
    return {
        "32 px in memory": Case(in_memory.cost, options.images, cores),
        "500 px JPEG, held": Case(held.cost, options.photos, cores),
        "500 px JPEG, streamed": Case(streamed.cost, options.photos, cores),
        "500 px JPEG, streamed, processes": Case(shared.cost, options.photos, cores),
    }


class Stream:
    """Batches from the middle of a long epoch of train.py's pipeline, restarted for each turn.

    The start of a pipeline is not timed, and it ends with its turn, because prefetching would
    continue during the next case. What is prefetched when the clock starts is balanced by what is
    prefetched when it stops.
    """

    def __init__(
        self, source, side: int, batch: int, images: int, processes: PhotoProcesses | None = None
    ):
        augmentation, batch = AugmentationSettings(image_size=side), min(batch, len(source))
        number = 3 * images + batch
        if processes is None:
            source = _Repeated(source, number)
        else:  # processes accept only files
            source = source.take(np.arange(number) % len(source))
        self.pipeline = train_pipeline(source, batch, augmentation, processes=processes)

    def cost(self, images: int) -> Cost:
        batches = iter(self.pipeline)
        _take(batches, images // 3)
        taken: list[int] = []
        found = timed(lambda: taken.append(_take(batches, images)))
        return Cost(*(images / taken[0] * value for value in found))


class _Repeated:
    """A source that repeats the images of another one."""

    def __init__(self, source, number: int):
        self.source, self.name, self.number = source, source.name, number

    def __len__(self) -> int:
        return self.number

    def load_crops(self, indices, noise, augmentation):
        return self.source.load_crops(indices % len(self.source), noise, augmentation)


def _take(batches: Iterator, images: int) -> int:
    """Takes whole batches with at least this many images, and returns their number."""
    taken = 0
    while taken < images:
        taken += len(next(batches)[1])
    return taken


def timed(work: Callable[[], object]) -> Cost:
    clock, cpu = time.perf_counter(), cpu_seconds()
    work()
    return Cost(time.perf_counter() - clock, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it has started."""
    children = sum(map(_ticks, multiprocessing.active_children()))
    return time.process_time() + children / os.sysconf("SC_CLK_TCK")


def _ticks(process: multiprocessing.Process) -> int:
    """Clock ticks that a process has spent on the CPU (Linux)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def loops(paths: Sequence[str], options) -> dict[str, Case]:
    """Loops over single images on one core."""
    number = options.peer_images
    small = [Image.fromarray(image) for image in noise_images(number)]
    some = [paths[place % len(paths)] for place in range(number)]
    decoded = [read_by_pillow(path) for path in some]
    peers: dict[str, Callable[..., Iterator]] = {"Pillow": augmented}
    if importlib.util.find_spec("torchvision"):
        peers["torchvision"] = augmented_by_torchvision

    def by(peer: str) -> dict[str, Case]:
        work = peers[peer]
        return {
            f"32 px in memory, {peer}": loop(lambda: work(small, SMALL), number),
            f"500 px JPEG, held, {peer}": loop(lambda: work(decoded, CROP), number),
            f"500 px JPEG, streamed, {peer}": loop(
                lambda: work(map(read_by_pillow, some), CROP), number
            ),
        }

    return {
        **{name: case for peer in peers for name, case in by(peer).items()},
        "500 px JPEG, decoded": loop(lambda: map(load_image, some), number),
        "500 px JPEG, decoded by libjpeg-turbo": loop(lambda: map(read_by_turbo, some), number),
    }


def loop(images: Callable[[], Iterator], number: int) -> Case:
    return Case(lambda count: timed(lambda: _exhaust(images(), count)), number)


def _exhaust(images: Iterator, count: int) -> None:
    assert sum(1 for _ in images) == count


def read_by_pillow(path: str) -> Image.Image:
    return Image.open(path).convert("RGB")


def read_by_turbo(path: str) -> tf.Tensor:
    return tf.io.decode_jpeg(Path(path).read_bytes(), dct_method="INTEGER_ACCURATE")


def noise_images(number: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (number, SMALL, SMALL, 3), np.uint8)


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
