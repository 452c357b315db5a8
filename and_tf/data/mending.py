"""Files that are corrupt outside their pixels, repaired so that Pillow reads them.

Pillow has a switch for such files, but it is global and also accepts files that lack pixels.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOT_USED = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # chunks of a PNG that may be too large to read


class Mended(NamedTuple):
    """Encoded bytes of an image, and what was wrong with them."""

    content: bytes
    fault: str


def mended(path_or_bytes: str | os.PathLike | bytes) -> Mended | None:
    """An image that Pillow refuses, without the cause; None if pixels are missing."""
    content = _content(path_or_bytes)
    if content.startswith(PNG_SIGNATURE):
        return _mended_png(content)
    if content.startswith(b"\xff\xd8\xff"):
        return _mended_jpeg(content)
    return None


def _content(path_or_bytes: str | os.PathLike | bytes) -> bytes:
    if isinstance(path_or_bytes, bytes):
        return path_or_bytes
    if not os.path.isfile(path_or_bytes):  # reading a pipe would hang
        return b""
    with open(path_or_bytes, "rb") as file:
        start = file.read(8)
        is_known = start == PNG_SIGNATURE or start.startswith(b"\xff\xd8\xff")
        return start + file.read() if is_known else b""


def _mended_png(content: bytes) -> Mended | None:
    """Drops ancillary chunks with a wrong checksum, as libpng does, and texts and profiles."""
    kept, wrong, at = [PNG_SIGNATURE], [], len(PNG_SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at : at + 12 + length]
        at += 12 + length
        is_ancillary = bool(kind[0] & 0x20)
        has_checksum = chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if is_ancillary and not has_checksum:
            wrong.append(kind.decode("latin-1"))
        elif kind not in NOT_USED:
            kept.append(chunk)
    mended_content = b"".join(kept)
    if len(mended_content) == len(content):
        return None
    of = f" (wrong checksum of {', '.join(wrong)})" if wrong else ""
    return Mended(mended_content, f"metadata is broken and left out{of}")


END = b"\xff\xd9"


def _noise(seed: int, after_restarts: bool) -> bytes:
    noise = bytes(np.random.default_rng(seed).integers(0, 255, 64, np.uint8))  # no 255: no marker
    restarts = [bytes([0xFF, 0xD0 + number]) + noise for number in range(8)]
    return noise + b"".join(restarts) if after_restarts else noise


NOISES = [_noise(seed, after_restarts) for seed in range(4) for after_restarts in (False, True)]


def _mended_jpeg(content: bytes) -> Mended | None:
    """Adds the end marker if nothing else is missing.

    That is so if the file has every coefficient to its last bit, and no pixel depends on what the
    decoder finds after the last byte: nothing, noise, or noise after each restart marker.
    """
    content = content.rstrip(b"\xff")  # the first half of the marker
    if content.endswith(END) or not _has_all_scans(content):
        return None
    try:
        expected = _pixels(content + END)
        for more in NOISES:
            if not np.array_equal(_pixels(content + more + END), expected):
                return None
    except MemoryError:
        raise
    except Exception:  # corrupt files make Pillow raise nearly anything
        return None
    return Mended(content + END, "its end marker is missing; all pixels are there")


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
        return np.asarray(image)


_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA


def _has_all_scans(content: bytes) -> bool:
    """Whether a JPEG holds a scan of each coefficient's last bit, for each component."""
    missing: dict[int, set[int]] = {}
    is_progressive, at = False, 2
    while found := _MARKER.search(content, at):
        marker, segment = found[1][0], content[found.end() : found.end() + 65537]
        if len(segment) < 2 or marker == 0xD9:
            break
        (length,) = struct.unpack(">H", segment[:2])
        fields, at = segment[2:length], found.end() + length
        if len(fields) < length - 2:
            return False
        if marker in _FRAMES:
            is_progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            missing = {identity: set(range(64)) for identity in fields[6::3]}
        elif marker == _SCAN:
            first, last, bits = fields[-3:] if is_progressive else (0, 63, 0)
            for identity in fields[1 : 1 + 2 * fields[0] : 2]:
                if bits & 15 == 0:
                    missing.get(identity, set()).difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())
