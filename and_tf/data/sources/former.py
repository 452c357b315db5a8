"""Folders as runs of older versions read them, so that these can go on."""

from __future__ import annotations

import logging

from and_tf.data.log_once import log_once
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.splits import Opened

logger = logging.getLogger(__name__)

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")  # of the files that were read


def as_begun(source: Opened, fingerprint: str | None) -> Opened:
    """The images with a fingerprint: those of a source, or those of them that were read before.

    Args:
        source: the images of today.
        fingerprint: of those that a run began with; None where it is not known.

    Returns:
        The source without files of kinds that are read since, if it then has the fingerprint;
        else the source, for others to say what has changed.
    """
    if fingerprint is None or not isinstance(source, EncodedSource) or not source.names:
        return source
    rows = [row for row, name in enumerate(source.names) if name.lower().endswith(ENDINGS)]
    if not 0 < len(rows) < len(source) or source.fingerprint == fingerprint:
        return source
    former = source.take(rows)
    if former.fingerprint != fingerprint:
        return source
    log_once(
        logger,
        logging.WARNING,
        f"{source.name}: the run goes on with the {len(rows):,} images that it began with; "
        f"{len(source) - len(rows):,} of kinds that were not read then are left out.",
    )
    return former
