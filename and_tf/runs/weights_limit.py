"""Refuses networks whose layers need more memory than the weights in their file can fill."""

import contextlib
import math
import re
import threading
from collections.abc import Iterator
from typing import Any

import keras

ALWAYS_BYTES = 1 << 20  # of weights, however small the file is
_lock = threading.Lock()


class TooManyWeights(ValueError):
    """The layers of a network need more weights than their file can contain."""


@contextlib.contextmanager
def weights_within(most_bytes: int) -> Iterator[None]:
    """A block in which layers cannot create more than a number of bytes of weights.

    A layer of any size takes only a few bytes in a network's config, but the size of the file with
    its weights limits how many there can be. The check comes before memory is allocated.

    Args:
        most_bytes: of the weights of all layers that are built within the block.

    Raises:
        TooManyWeights: if they need more.
    """
    most_bytes = max(most_bytes, ALWAYS_BYTES)
    asked = 0
    plain = keras.Layer.add_weight

    def add_weight(self: keras.Layer, *others: Any, **more: Any) -> Any:
        nonlocal asked
        shapes = [more.get("shape"), *others]
        shape = next((s for s in shapes if isinstance(s, int | tuple | list)), ())
        asked += _bytes(shape, str(more.get("dtype") or self.variable_dtype))
        if asked > most_bytes:
            raise _too_many(asked, most_bytes)
        return plain(self, *others, **more)

    with _lock:
        keras.Layer.add_weight = add_weight
        try:
            yield
        except Exception as error:
            if asked > most_bytes:  # Keras may have replaced our error
                raise _too_many(asked, most_bytes) from error
            raise
        finally:
            keras.Layer.add_weight = plain


def _bytes(shape: Any, dtype: str) -> int:
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    bits = re.search(r"(\d+)", dtype)
    return math.prod(int(size or 0) for size in sizes) * (int(bits[1]) if bits else 8) // 8


def _too_many(asked: int, most_bytes: int) -> TooManyWeights:
    return TooManyWeights(
        f"its layers need at least {asked / 1e6:,.1f} MB of weights, and its file holds "
        f"{most_bytes / 1e6:,.1f} MB at most"
    )
