"""Anchor Neighbourhood Discovery: image features without labels, in Keras 3 and TensorFlow."""

import importlib
import os
from typing import TYPE_CHECKING

# Read by TensorFlow when it is imported. A value that the user has set wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Off by default on AVX2 machines, where it makes the whole training step 1.5 to 2.5 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if TYPE_CHECKING:
    from and_tf import data, encoders, evaluation, export, methods
    from and_tf.bank.memory_bank import MemoryBank
    from and_tf.data import open_source, train_pipeline
    from and_tf.encoders import build_encoder
    from and_tf.evaluation import weighted_knn
    from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
    from and_tf.methods.anchor_neighbourhoods.discovery import discover
    from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss
    from and_tf.methods.anchor_neighbourhoods.model import AND
    from and_tf.methods.anchor_neighbourhoods.rounds import RoundPlan
    from and_tf.methods.anchor_neighbourhoods.schedule import RoundSchedule
    from and_tf.methods.anchor_neighbourhoods.selection import select_anchors
    from and_tf.runs.workdir import load_encoder
    from and_tf.training.optimizers import TorchSGD

_PACKAGES = ("data", "encoders", "evaluation", "export", "methods")

# Public name: the module that holds it.
_HOMES = {
    "AND": "methods.anchor_neighbourhoods.model",
    "MemoryBank": "bank.memory_bank",
    "NeighbourhoodCurriculum": "methods.anchor_neighbourhoods.curriculum",
    "RoundPlan": "methods.anchor_neighbourhoods.rounds",
    "RoundSchedule": "methods.anchor_neighbourhoods.schedule",
    "TorchSGD": "training.optimizers",
    "bank_loss": "methods.anchor_neighbourhoods.loss",
    "build_encoder": "encoders",
    "discover": "methods.anchor_neighbourhoods.discovery",
    "load_encoder": "runs.workdir",
    "neighbourhood_loss": "methods.anchor_neighbourhoods.loss",
    "open_source": "data",
    "select_anchors": "methods.anchor_neighbourhoods.selection",
    "train_pipeline": "data",
    "weighted_knn": "evaluation",
}

__all__ = [
    "AND",
    "MemoryBank",
    "NeighbourhoodCurriculum",
    "RoundPlan",
    "RoundSchedule",
    "TorchSGD",
    "bank_loss",
    "build_encoder",
    "data",
    "discover",
    "encoders",
    "evaluation",
    "export",
    "load_encoder",
    "methods",
    "neighbourhood_loss",
    "open_source",
    "select_anchors",
    "train_pipeline",
    "weighted_knn",
]


def __getattr__(name: str):
    # Loaded at first use: a mistyped flag is answered without the seconds of TensorFlow's import.
    if name in _PACKAGES:
        return importlib.import_module(f"and_tf.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"and_tf.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'and_tf' has no attribute {name!r}")
