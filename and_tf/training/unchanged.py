"""Checks that a continued run has the same images as before, since each is a row of the bank."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.manifest import Manifest, changes, manifest
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.runs.workdir import Workdir


def label_metadata(
    train: Source, held_out: Source | None, sharing: Sharing = ALONE
) -> dict[str, Any]:
    """Checksums that reveal changed labels or held-out images, which would falsify metrics."""
    metadata: dict[str, Any] = {"labels": _checksum_of(train)}
    if (boxes := getattr(train, "boxes", None)) is not None:
        metadata["boxes"] = zlib.crc32(np.ascontiguousarray(boxes).data)
    if held_out is not None:
        metadata["held_out_labels"] = _checksum_of(held_out)
        metadata["held_out_fingerprint"] = held_out.fingerprint
        metadata["held_out_content"] = manifest(held_out, sharing).content
    return metadata


def _checksum_of(source: Source) -> int:
    """Checksum of the labels as in their file, the only ones that older versions knew."""
    labels, ids = source.labels, getattr(source, "class_ids", None)
    if labels is None:
        return 0
    if ids is not None:
        labels = np.where(labels >= 0, ids[labels], -1).astype(np.int32)
    return zlib.crc32(np.ascontiguousarray(labels).data)


def check_unchanged(run: Workdir, train: Source, images: Manifest, others: dict) -> None:
    """Checks that the images are those that the run began with: each is a row of the bank.

    Raises:
        UserError: if they, their labels or the held-out ones differ; names what changed.
    """
    different = ""
    if run.metadata.is_file():
        known = run.read_metadata()
        for name in ("labels", "boxes", "held_out_labels", "held_out_fingerprint"):
            # Runs of older versions stored none of these.
            if "labels" in known and known.get(name) != others.get(name):
                different = f"{name.replace('_', ' ')} differ"
        content = known.get("held_out_content")  # pixels under the same names and sizes
        if not different and content not in (None, others.get("held_out_content")):
            different = "held-out images were edited"
    if run.images.is_file():
        different = changes(run.read_images(), images) or different
    elif run.metadata.is_file() and run.read_metadata().get("fingerprint") != train.fingerprint:
        different = f"its fingerprint differs ({run.images.name}, which has details, is missing)"
    if different:
        raise UserError(
            f"{train.name} has changed since the run in {run.path} began: {different}. "
            "Restore the images or choose another ", Argument("workdir"), ".",
        )  # fmt: skip
