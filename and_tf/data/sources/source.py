"""Sources of images with random access: image i is image i for ever.

An `ArraySource` holds pixels, an `EncodedSource` files or encoded bytes that it decodes on demand,
a `CachedSource` one of these and decoded images. All have the same members, so that no caller asks
which it has. `opening` opens data sets by name; `array_source` wraps arrays.
"""

from and_tf.data.cache import CachedSource
from and_tf.data.sources.arrays import ArraySource, array_source
from and_tf.data.sources.encoded import EncodedSource

Source = ArraySource | EncodedSource | CachedSource

__all__ = ["ArraySource", "CachedSource", "EncodedSource", "Source", "array_source"]
