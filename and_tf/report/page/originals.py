"""Addresses of the image files that a page shows, relative to the page."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from and_tf.data.cache import CachedSource
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.source import Source


def original_urls(source: Source, folder: Path) -> list[str] | None:
    """The address of each image's file, for a page in `folder`; None if images are not files.

    The page and the images can be moved together.
    """
    inner = source.source if isinstance(source, CachedSource) else source
    if not isinstance(inner, EncodedSource) or not all(isinstance(i, str) for i in inner.items):
        return None
    return [relative_url(str(path), folder) for path in inner.items]


def relative_url(path: str | Path, folder: Path) -> str:
    """The address of a file for a page in `folder`, whatever bytes its name contains.

    Symbolic links are not resolved, because a browser resolves `..` by name.
    """
    try:
        relative = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))
    except ValueError:  # another drive on Windows
        return Path(path).absolute().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def shown_name(name: str) -> str:
    """A file's name as text: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def compact(urls: Sequence[str], names: Sequence[str]) -> dict[str, object]:
    """Addresses without their common part.

    Args:
        urls: N addresses.
        names: N names; most addresses are one base and the name.

    Returns:
        dict: base; others, by index, the addresses that are not the base followed by the name.
    """
    bases = Counter(
        url.removesuffix(name) for url, name in zip(urls, names, strict=True) if url.endswith(name)
    )
    base = bases.most_common(1)[0][0] if bases else ""
    pairs = enumerate(zip(urls, names, strict=True))
    return {"base": base, "others": {i: url for i, (url, name) in pairs if url != base + name}}
