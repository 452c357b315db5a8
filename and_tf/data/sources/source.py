"""Sources of images with random access, in which the index of an image never changes.

An `ArraySource` holds pixels, an `EncodedSource` files or encoded bytes that it decodes on demand,
and a `CachedSource` one of these together with decoded images. All have the same members, so that
callers need not know which one they have. `opening` opens data sets by name; `array_source` wraps
arrays.
"""

from and_tf.data.cache import CachedSource
from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.sources.encoded import EncodedSource

Source = ArraySource | EncodedSource | CachedSource

__all__ = ["ArraySource", "CachedSource", "EncodedSource", "Source", "array_source"]
