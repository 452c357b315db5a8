"""Images that are replaced while a run reads them, detected by size and time."""

from __future__ import annotations

import logging
import os
import zlib
from typing import TYPE_CHECKING

from and_tf.data.file_checks import READ_ELSEWHERE
from and_tf.data.log_once import log_once
from and_tf.errors import ImageChanged

if TYPE_CHECKING:
    from and_tf.data.sources.encoded import EncodedSource

logger = logging.getLogger(__name__)


def check_unchanged(
    source: EncodedSource, index: int, content: bytes, mtime: int, is_trained_on: bool
) -> None:
    """Compares a file with its state when the source was opened, as a resumed run does.

    A file has changed if its size differs, or if its time and checksum differ. If the time differs
    and no checksum is known, the run continues, as it would if it were resumed, and a warning is
    logged. A file that only another process read at the start, on its own disk, must have the
    checksum that was found there.

    Args:
        source: of the image.
        index: of the image.
        content: of its file.
        mtime: of its file, in nanoseconds.
        is_trained_on: whether a changed image is refused; else a warning is logged.

    Raises:
        ImageChanged: if an image that is trained on has changed; names the file.
    """
    is_other, same_time = len(content) != source.sizes[index], _has_time(source, index, mtime)
    if not is_other and same_time:
        return
    if not is_other and source.checksums is not None:
        is_other = zlib.crc32(content) != int(source.checksums[index])
        if not is_other:
            return
    path = os.path.abspath(str(source.items[index]))
    if not is_other:
        text = "was rewritten since the start, at the same size; others may have been too"
        log_once(logger, logging.WARNING, f"{source.name}: an image {text}.")
        return
    if source.mtimes is not None and source.mtimes[index] == READ_ELSEWHERE:
        change = "differs from the file of this name that another process has read"
        remedy = "give all processes the same images and repeat the commands"
    else:
        sizes = f"{source.sizes[index]:,} bytes at the start, {len(content):,} now"
        change = f"has changed since the run began to read it ({sizes})"
        remedy = "put the original file back and repeat the command, or start a new run"
    if is_trained_on:
        raise ImageChanged(f"{path} {change}: {remedy}.")
    log_once(logger, logging.WARNING, f"{path} {change}.")


def _has_time(source: EncodedSource, index: int, mtime: int) -> bool:
    return source.mtimes is None or int(source.mtimes[index]) in (mtime, -1)
