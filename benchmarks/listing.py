"""The start on a folder of a million files: python -m benchmarks.listing --files=1000000

Listing, checks (header, size, CRC-32 of the content) and fingerprint, as `train.py` begins, each
start in a process of its own: the first knows nothing of the files, the second finds the checks of
the first. The tree is made here, of tiny JPEG files (4 GB on the disk for a million), and all of it
lies in the page cache: the seconds are those of the processor; beside other work the seconds on the
processor tell more.

With --broken=50 so many of the files are cut off, and the starts are those of --skip_broken, which
decodes all files and leaves these out.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from and_tf.data.check_cache import SETTLED_SECONDS
from benchmarks.timing import arguments, show

DISTINCT = 300
FOLDERS = 1000
START = """
import json, resource, sys, time
began = time.perf_counter()
from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_source
source = open_source("folder:" + sys.argv[1], skip_broken=sys.argv[2] == "skip")
found = {"images": len(source), "fingerprint": source.fingerprint, "files": len(manifest(source))}
found["broken"] = len(source.broken)
found["seconds"] = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
found |= {"peak": used.ru_maxrss * 1024 / 1e6, "processor": used.ru_utime + used.ru_stime}
print(json.dumps(found))
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--broken", type=int, default=0, help="of the files are cut off")
    parser.add_argument("--folder", default="", help="keeps the tree, and takes one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.folder or scratch) / f"photos-{options.files}-{options.broken}"
        write_tree(folder, options.files, options.broken)
        rows = measure(folder, Path(scratch) / "cache", options.broken > 0)
    show(f"Start on {options.files:,} files", rows, options.json)


def measure(folder: Path, cache: Path, skip_broken: bool) -> list[dict]:
    """A row for each of two starts on a folder, the first without known checks of its files."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    rows = []
    for name in ("first", "second"):
        run = subprocess.run(
            [sys.executable, "-c", START, str(folder), "skip" if skip_broken else "refuse"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout)
        rows.append(
            {
                "start": name,
                "seconds": found["seconds"],
                "of them on the processor": found["processor"],
                "files/s": found["images"] / found["seconds"],
                "peak, MB": found["peak"],
                "left out": found["broken"],
                "fingerprint": found["fingerprint"][:12],
            }
        )
    return rows


def write_tree(folder: Path, count: int, broken: int) -> None:
    """Class folders with `count` JPEG files of 32 x 32 pixels, some of which are truncated."""
    if folder.exists():
        return
    partial = folder.with_name(folder.name + ".partial")
    kinds = encoded_images(min(DISTINCT, count))
    cut_off = set(np.linspace(0, count - 1, broken, dtype=int).tolist())
    per_folder = -(-count // min(FOLDERS, count))
    for number in range(count):
        place, row = divmod(number, per_folder)
        parent = f"{partial}/class{place:04}"
        if row == 0:
            os.makedirs(parent)
        content = kinds[number % len(kinds)]
        with open(f"{parent}/{number:08}.jpg", "wb") as file:
            file.write(content[: len(content) // 2] if number in cut_off else content)
    os.rename(partial, folder)
    time.sleep(SETTLED_SECONDS + 0.5)  # checks of files written a moment ago are not kept


def encoded_images(count: int) -> list[bytes]:
    """JPEG files of smooth colours."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(count):
        pixels = generator.integers(0, 256, (4, 4, 3), np.uint8)
        image = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(generator.integers(60, 95)))
        found.append(file.getvalue())
    return found


if __name__ == "__main__":
    main()
