"""Files that are not what they should be, for the table of bad input."""

import io
import json
import os
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def png(side=20, seed=0, height=None):
    """The bytes of a small picture of random pixels."""
    shape = (height or side, side, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def jpeg(side=90):
    file = io.BytesIO()
    Image.open(io.BytesIO(png(side))).save(file, "JPEG")
    return file.getvalue()


def huge_png(side, has_pixels):
    """A black PNG of side x side pixels in about a megabyte; without its pixels, a header alone."""
    row, rows = bytes(1 + 3 * side), side if has_pixels else 1
    packer = zlib.compressobj(9)
    start = packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(row) + packer.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    checksum = (rows * len(row) % 65521) << 16 | 1  # Adler-32 of zeros
    pixels = start + again * (rows - 1) + b"\x03\0" + struct.pack(">I", checksum)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def photos(*names, **contents):
    """Makes `photos/`: valid pictures of these names, and files of these contents (`_` is a dot).

    A content is bytes, or a function that makes what stands at the path.
    """

    def make(here, world):
        (here / "photos").mkdir()
        for seed, name in enumerate(names):
            path = os.path.join(os.fsencode(here / "photos"), os.fsencode(name))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(os.fsdecode(path)).write_bytes(png(seed=seed))
        for name, content in contents.items():
            path = here / "photos" / name.replace("_", ".")
            content(path) if callable(content) else path.write_bytes(content)

    return make


def link_to(target):
    return lambda path: path.symlink_to(target)


def arrays(**columns):
    """Makes `arrays.npz`; a column may be a function of the folder."""

    def make(here, world):
        made = {name: value(here) if callable(value) else value for name, value in columns.items()}
        np.savez(here / "arrays.npz", **made)

    return make


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.open, (str(self.path), os.O_CREAT)


def pickled(here):
    """An array that runs code where pickles are allowed."""
    return np.array([Touch(here / "executed")] * 4, dtype=object)


def pickle_file(here, world):
    (here / "arrays.npz").write_bytes(pickle.dumps(Touch(here / "executed")))


def file(name, content):
    def make(here, world):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(content)

    return make


def folder(name):
    return lambda here, world: (here / name).mkdir()


def run(*changes):
    """Makes `run/`, a copy of the finished run as if killed before its end, and changes it."""

    def make(here, world):
        shutil.copytree(
            world / "run", here / "run", ignore=shutil.ignore_patterns("export", "tensorboard")
        )
        (here / "run" / "summary.txt").unlink()
        for change in changes:
            change(here / "run")

    return make


def replaced(name, content):
    """A change of a run: other bytes in a file, or a function of those that it has."""

    def change(run):
        path = run / name
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)

    return change


def removed(name):
    return lambda run: (run / name).unlink()


def checkpoints(change):
    """A change of the arrays in both checkpoints of a run."""

    def change_both(run):
        for path in sorted(run.glob("checkpoints/*.npz")):
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
            change(held, run.parent)
            np.savez(path, **held)

    return change_both


def with_(**columns):
    """Other columns in a checkpoint; None takes one out."""

    def change(held, here):
        for name, value in columns.items():
            name = name.replace("__", "/")
            held.pop(name, None)
            if value is not None:
                held[name] = value(here) if callable(value) else value

    return checkpoints(change)


def metadata(change):
    """A change of the metadata in both checkpoints of a run."""

    def change_metadata(held, here):
        held["facts"] = np.array(json.dumps(change(json.loads(str(held["facts"])))))

    return checkpoints(change_metadata)


def run_json(**changes):
    """Other metadata in run.json."""
    return replaced("run.json", lambda old: json.dumps(json.loads(old) | changes).encode())


def images_npz(**columns):
    def change(run):
        with np.load(run / "images.npz") as file:
            held = {name: file[name] for name in file.files} | columns
        np.savez(run / "images.npz", **held)

    return change
