"""Checks the files of an exported SavedModel, which is a program, before TensorFlow opens them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from and_tf.errors import Argument, BrokenFile
from and_tf.export import metadata
from and_tf.export.exported_encoder import not_ours
from and_tf.runs import schema

DESCRIPTION = Path("assets.extra", metadata.NAME)  # TensorFlow does not read this folder


def content_checksum(folder: Path) -> str:
    """sha256 (hex) of names and contents of the files that TensorFlow may read in a SavedModel."""
    digest = hashlib.sha256()
    for path in _files(folder):
        content = metadata.file_checksum(path)
        digest.update(f"{content} {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """The regular files of a folder in order of name, without hidden ones, as of file browsers."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not is_hidden and name != DESCRIPTION:
            yield path


def read_description(folder: Path, is_trusted: bool = False) -> dict[str, Any]:
    """The metadata of an export, after checking that its files are those that were written.

    Args:
        folder: of the SavedModel.
        is_trusted: skip the check of the files.

    Raises:
        BrokenFile: if it is not an export, its metadata are not valid, or, unless it is trusted,
            its files are not those that export.py wrote.
    """
    if not (folder / DESCRIPTION).is_file():
        raise not_ours(folder)
    found = schema.read_object(folder / DESCRIPTION, schema.ENCODER, "export the encoder again")
    if is_trusted:
        return found
    known = found.get(metadata.CHECKSUM)
    if known is None or known != content_checksum(folder):
        reason = "does not name the checksum of" if known is None else "is not of"
        raise BrokenFile(
            f"{folder} is a SavedModel, which is a program, and {DESCRIPTION} {reason} its files: "
            "they were changed, or written by another program or an earlier version. Export the "
            "encoder again, or, if you know who wrote it, pass ",
            Argument("trust_model", True), ".",
        )  # fmt: skip
    return found
