"""Encoders: networks from images in 0..255 to embeddings of unit length.

To add an encoder, write a module with a function like `build_resnet` and add it to `ENCODERS`.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from and_tf import lazy_attributes
from and_tf.encoders.alexnet import build_alexnet
from and_tf.encoders.resnet import (
    basic_block,
    bottleneck_block,
    build_resnet,
    build_small_resnet,
)

if TYPE_CHECKING:
    from and_tf.encoders.build import build_encoder
    from and_tf.encoders.layer_outputs import (
        before_normalisation,
        features,
        layer_names,
        layer_output,
        resolve_layer,
    )
    from and_tf.encoders.pooling import pooled_features
    from and_tf.encoders.pretrained import open_pretrained
    from and_tf.encoders.settings import EncoderSettings

# Maps (layers, x (B, H, W, C) normalised images, embedding_dim, large=whether their side exceeds 64
# pixels) to unit embeddings (B, D).
BuildNetwork = Callable[..., Any]

ENCODERS: dict[str, BuildNetwork] = {
    "alexnet": build_alexnet,
    "resnet18": functools.partial(build_resnet, block=basic_block, blocks_per_stage=(2, 2, 2, 2)),
    "resnet34": functools.partial(build_resnet, block=basic_block, blocks_per_stage=(3, 4, 6, 3)),
    "resnet50": functools.partial(
        build_resnet, block=bottleneck_block, blocks_per_stage=(3, 4, 6, 3)
    ),
    "resnet_small": build_small_resnet,
}

_HOMES = {
    "EncoderSettings": "settings",
    "before_normalisation": "layer_outputs",
    "build_encoder": "build",
    "features": "layer_outputs",
    "layer_names": "layer_outputs",
    "layer_output": "layer_outputs",
    "open_pretrained": "pretrained.opening",
    "pooled_features": "pooling",
    "resolve_layer": "layer_outputs",
}

__all__ = [
    "ENCODERS",
    "EncoderSettings",
    "before_normalisation",
    "build_encoder",
    "features",
    "layer_names",
    "layer_output",
    "open_pretrained",
    "pooled_features",
    "resolve_layer",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
