"""Networks whose layers ask for more memory than the file that they come with can fill."""

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
    """The layers of a network ask for more weights than there can be."""


@contextlib.contextmanager
def weights_within(most_bytes: int) -> Iterator[None]:
    """Within it, layers are refused weights beyond a number of bytes, before these take memory.

    A layer of any size is a few bytes of a network's config. Its weights are not: the file that
    holds them tells how many there can be.

    Args:
        most_bytes: of the weights of all layers that are built within.

    Raises:
        TooManyWeights: if they ask for more.
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
            if asked > most_bytes:  # Keras may have put it into words of its own
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
        f"its layers ask for {asked / 1e6:,.1f} MB of weights and more, and its file holds "
        f"{most_bytes / 1e6:,.1f} MB at most"
    )
