"""Encoders with pretrained weights, opened by a short text.

A run's folder, a `.keras` file, a network of Keras Applications or a preset of keras-hub becomes an
encoder like those of this package: it takes pixels in 0..255, includes the preprocessing that the
weights expect, returns rows of unit length, and consists of layers that every export format
supports. Nothing is downloaded, and no code from a file is run.
"""

from typing import TYPE_CHECKING

from and_tf import lazy_attributes

if TYPE_CHECKING:
    from and_tf.encoders.pretrained.freezing import freeze
    from and_tf.encoders.pretrained.matching import Loaded, load_matching
    from and_tf.encoders.pretrained.opening import is_pretrained_name, open_pretrained

_HOMES = {
    "Loaded": "matching",
    "freeze": "freezing",
    "is_pretrained_name": "opening",
    "load_matching": "matching",
    "open_pretrained": "opening",
}

__all__ = ["Loaded", "freeze", "is_pretrained_name", "load_matching", "open_pretrained"]

__getattr__ = lazy_attributes(__name__, _HOMES)
