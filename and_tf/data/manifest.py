"""What a run remembers of its images, to report what has changed when it continues."""

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from and_tf.data.exchange import ALONE, Sharing, gathered
from and_tf.data.file_checks import CHECKED_BYTES
from and_tf.data.partition import share
from and_tf.data.parts import in_parts
from and_tf.data.progress import progress_bar
from and_tf.data.reading import read_file
from and_tf.data.sources.source import ArraySource, CachedSource, Source

LISTED = 3  # names in a message, of each kind of change


@dataclass(frozen=True)
class Manifest:
    """Images in the order of their source.

    Attributes:
        names: (N,) str, or empty where the images have no names.
        sizes: (N,) int64, bytes of each image.
        checksums: (N,) uint32, CRC-32 of its bytes; zeros for sets above `CHECKED_BYTES`.
    """

    names: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def content(self) -> str:
        """sha256 (hex) of the whole manifest, by which a run's state identifies its images."""
        digest = hashlib.sha256()
        for name, array in self.arrays().items():
            digest.update(f"{name} {len(array)}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for an .npz file; names are encoded as the bytes in the file system."""
        joined = "\0".join(self.names).encode(errors="surrogateescape")
        return {
            "names": np.frombuffer(joined, np.uint8),
            "sizes": self.sizes,
            "checksums": self.checksums,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Manifest":
        """Restores the manifest from the result of `arrays()`.

        Raises:
            ValueError, KeyError: if the arrays do not belong together.
        """
        joined = arrays["names"].tobytes().decode(errors="surrogateescape")
        names = np.array(joined.split("\0") if joined else [], dtype=object)
        sizes, checksums = arrays["sizes"], arrays["checksums"]
        types = sizes.dtype, checksums.dtype
        if types != (np.int64, np.uint32) or sizes.ndim != 1 or sizes.shape != checksums.shape:
            raise ValueError(f"sizes and checksums have shapes {sizes.shape}, {checksums.shape}")
        if len(names) not in (0, len(sizes)):
            raise ValueError(f"{len(names)} names for {len(sizes)} images")
        return cls(names, sizes, checksums)


def manifest(source: Source, sharing: Sharing = ALONE) -> Manifest:
    """Names, sizes and checksums of a source's images; those of files are known from the start.

    Args:
        source: the images.
        sharing: the processes that have the same number of images of the same sizes; each reads a
            part of those whose checksums are not known, and all receive all checksums.
    """
    if isinstance(source, CachedSource):
        return manifest(source.source, sharing)
    names = np.array(source.names or [], dtype=object)
    if isinstance(source, ArraySource):
        sizes = np.full(len(source), source.images[0].nbytes, np.int64)
        return Manifest(names, sizes, _checksums(source.images, sizes, sharing))
    if source.checksums is not None and source.sizes.sum() <= CHECKED_BYTES:
        return Manifest(names, source.sizes, source.checksums)
    return Manifest(names, source.sizes, _checksums(source.items, source.sizes, sharing))


def _checksums(
    items: Sequence[str | bytes] | np.ndarray, sizes: np.ndarray, sharing: Sharing
) -> np.ndarray:
    checksums = np.zeros(len(items), np.uint32)
    if sizes.sum() > CHECKED_BYTES:
        return checksums

    def read(rows: np.ndarray) -> None:
        for row in rows.tolist():
            checksums[row] = _checksum(items[row])

    start, stop = share(len(items), sharing.number, sharing.size)
    with progress_bar(stop - start, "checksums") as progress:
        for done in in_parts(read, np.arange(start, stop)):
            progress.update(done)
    return gathered(sharing, checksums[start:stop], start, len(items))


def _checksum(item: str | bytes | np.ndarray) -> int:
    if isinstance(item, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(item).data)
    if isinstance(item, bytes):
        return zlib.crc32(item)
    return zlib.crc32(read_file(item)[0])


def changes(old: Manifest, new: Manifest) -> str:
    """A description of what differs between two states of a source; empty if nothing does.

    An image is edited if its bytes differ, and renamed if they now have another name.
    """
    if len(old.names) and len(new.names):
        return _changes_by_name(old, new)
    if len(old) != len(new):
        return f"it held {len(old)} images and now holds {len(new)}"
    differs = np.flatnonzero((old.sizes != new.sizes) | (old.checksums != new.checksums))
    return _listed("edited", [f"image {row}" for row in differs])


def edited(old: Manifest, new: Manifest) -> str:
    """A description of the images whose bytes differ under the same name; empty if there are none.

    Added and removed images are ignored. Images without names are compared by their order if their
    number is the same.
    """
    if len(old.names) and len(new.names):
        before, after = _contents(old), _contents(new)
        return _listed("edited", [n for n in before if n in after and before[n] != after[n]])
    return changes(old, new) if len(old) == len(new) else ""


def _changes_by_name(old: Manifest, new: Manifest) -> str:
    before, after = _contents(old), _contents(new)
    gone = [name for name in before if name not in after]
    came = [name for name in after if name not in before]
    edited = [name for name in before if name in after and before[name] != after[name]]
    waiting: dict[tuple, list[str]] = {}
    for name in came:
        waiting.setdefault(after[name], []).append(name)
    renamed, removed = [], []
    for name in gone:
        others = waiting.get(before[name])
        renamed.append(f"{name} to {others.pop(0)}") if others else removed.append(name)
    added = [name for names in waiting.values() for name in names]
    if not (added or removed or renamed or edited) and list(old.names) != list(new.names):
        return "their order"
    kinds = {"added": added, "removed": removed, "renamed": renamed, "edited": edited}
    return ", ".join(_listed(kind, names) for kind, names in kinds.items() if names)


def _contents(images: Manifest) -> dict[str, tuple[int, int]]:
    pairs = zip(images.sizes.tolist(), images.checksums.tolist(), strict=True)
    return dict(zip(images.names, pairs, strict=True))


def _listed(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(os.fsencode(name).decode(errors="replace") for name in names[:LISTED])
    return f"{len(names)} {kind} ({shown}{', ...' if len(names) > LISTED else ''})"
