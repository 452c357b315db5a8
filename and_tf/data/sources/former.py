"""Folders as older versions read them, so that their runs can be continued."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from and_tf.data.log_once import log_once
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.splits import Opened

logger = logging.getLogger(__name__)

Pair: TypeAlias = "tuple[Opened, Opened | None]"
Fingerprints: TypeAlias = tuple[str | None, str | None]

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")  # of the files that were read then


def as_begun(source: Opened, fingerprint: str | None) -> Opened:
    """The images that a run began with: all of a source, or those that older versions read.

    Args:
        source: the images as they are read today.
        fingerprint: of those that a run began with; None if it is not known.

    Returns:
        The source without files of kinds that older versions did not read, if it then has the
        fingerprint; else the source itself, and the caller finds out what has changed.
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
        f"{source.name}: the run continues with the {len(rows):,} images that it began with; "
        f"{len(source) - len(rows):,} of formats that were not read then are left out.",
    )
    return former


def with_hard_links(found: Pair, begun: Fingerprints, reopen: Callable[[], Pair]) -> Pair:
    """The images of a run that may have begun when each hard link was an image of its own.

    Args:
        found: the images to train on and those held out, as they are read today.
        begun: the fingerprints of those that the run began with; None if one is not known.
        reopen: opens them with each hard link as an image.
    """
    pairs = [(s, f) for s, f in zip(found, begun, strict=True) if f is not None and s is not None]
    if not any(getattr(s, "hard_links", 0) and s.fingerprint != f for s, f in pairs):
        return found
    former = reopen()
    if _agreeing(former, begun) <= _agreeing(found, begun):
        return found
    log_once(
        logger,
        logging.WARNING,
        f"{former[0].name}: the run continues with the images that it began with, each hard link "
        "as an image of its own; a new run takes each file once.",
    )
    return former


def _agreeing(found: Pair, begun: Fingerprints) -> int:
    return sum(s is not None and s.fingerprint == f for s, f in zip(found, begun, strict=True))
