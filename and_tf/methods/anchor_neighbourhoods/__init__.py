"""Anchor Neighbourhood Discovery: model, loss, curriculum, discovery and selection of anchors."""

from and_tf.methods.anchor_neighbourhoods.discovery import Neighbourhoods, discover
from and_tf.methods.anchor_neighbourhoods.discovery_by_index import discover_by_index
from and_tf.methods.anchor_neighbourhoods.selection import consistency, select_anchors, stability

__all__ = [
    "Neighbourhoods",
    "consistency",
    "discover",
    "discover_by_index",
    "select_anchors",
    "stability",
]
