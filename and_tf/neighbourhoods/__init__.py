"""Neighbourhood discovery and the selection of anchors: pure functions of the bank."""

from and_tf.neighbourhoods.discovery import Neighbourhoods, discover
from and_tf.neighbourhoods.index import discover_by_index
from and_tf.neighbourhoods.selection import consistency, select_anchors, stability

__all__ = [
    "Neighbourhoods",
    "consistency",
    "discover",
    "discover_by_index",
    "select_anchors",
    "stability",
]
