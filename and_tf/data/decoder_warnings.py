"""Pillow's warnings do not name the file: they are logged with the image that is being decoded."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image

from and_tf.data.log_once import log_once

logger = logging.getLogger(__name__)

# Pillow warns above 89 megapixels and refuses above 179; the refusal is enough. Filters are set
# once, because `warnings.catch_warnings` is not safe in the threads that decode.
warnings.filterwarnings("always", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data", category=UserWarning)

_decoding = threading.local()
_show_others = warnings.showwarning


def _show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    name = getattr(_decoding, "name", None)
    if name is None:
        _show_others(message, category, *where, **options)
    else:
        log_once(logger, logging.WARNING, f"{name}: {message}")


warnings.showwarning = _show


@contextlib.contextmanager
def naming_image(name: str) -> Iterator[str]:
    """Logs the warnings of this thread with the name of an image, once for each image.

    Args:
        name: a path, or another description. Within another `naming_image` the outer name is kept,
            because the caller knows best which image it is.

    Yields:
        The name that is used.
    """
    before = getattr(_decoding, "name", None)
    _decoding.name = before or name
    try:
        yield _decoding.name
    finally:
        _decoding.name = before
