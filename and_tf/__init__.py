"""Anchor Neighbourhood Discovery: image features without labels, in Keras 3 and TensorFlow."""

import importlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

__version__ = "0.4.0"

# Read by TensorFlow on import. A value that the user has set takes precedence, here and below.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"  # not keras.json's
# Off by default on AVX2 machines, where it makes a whole training step 1.5 to 2.5 times faster.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Read by Pillow: how many blocks of 16 MB it keeps for the next image. Newly allocated memory would
# cause page faults, which take a quarter of the time needed to decode a photo.
os.environ.setdefault("PILLOW_BLOCKS_MAX", "4")

if TYPE_CHECKING:
    from and_tf import data, encoders, evaluation, export, methods
    from and_tf.bank.memory_bank import MemoryBank
    from and_tf.collection.embedding import embed
    from and_tf.data import open_source, train_pipeline
    from and_tf.encoders import build_encoder
    from and_tf.evaluation import weighted_knn
    from and_tf.methods.anchor_neighbourhoods.anchors import select_anchors
    from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
    from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss
    from and_tf.methods.anchor_neighbourhoods.model import AND
    from and_tf.methods.group_loss import group_loss
    from and_tf.methods.rounds import RoundPlan
    from and_tf.methods.schedule import RoundSchedule
    from and_tf.methods.unification_entropy import unification_entropy
    from and_tf.runs.restore import load_encoder
    from and_tf.search.neighbourhoods import discover
    from and_tf.search.neighbours import neighbours
    from and_tf.training.optimizers import TorchSGD


def lazy_attributes(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a package's `__getattr__`, which imports each public name at its first use.

    Importing a package loads nothing else: a mistyped flag is reported without the seconds that
    TensorFlow takes to import, although flags are made from settings inside these packages.

    Args:
        package: its `__name__`.
        homes: the module that defines each name, relative to the package; empty for a submodule.
    """

    def attribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not homes[name]:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return attribute


# The module that defines each public name.
_HOMES = {
    "AND": "methods.anchor_neighbourhoods.model",
    "MemoryBank": "bank.memory_bank",
    "NeighbourhoodCurriculum": "methods.anchor_neighbourhoods.curriculum",
    "RoundPlan": "methods.rounds",
    "RoundSchedule": "methods.schedule",
    "TorchSGD": "training.optimizers",
    "bank_loss": "methods.anchor_neighbourhoods.loss",
    "build_encoder": "encoders",
    "discover": "search.neighbourhoods",
    "embed": "collection.embedding",
    "group_loss": "methods.group_loss",
    "load_encoder": "runs.restore",
    "neighbours": "search.neighbours",
    "neighbourhood_loss": "methods.anchor_neighbourhoods.loss",
    "open_source": "data",
    "select_anchors": "methods.anchor_neighbourhoods.anchors",
    "train_pipeline": "data",
    "unification_entropy": "methods.unification_entropy",
    "weighted_knn": "evaluation",
    **dict.fromkeys(("data", "encoders", "evaluation", "export", "methods"), ""),
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
    "embed",
    "encoders",
    "evaluation",
    "export",
    "group_loss",
    "load_encoder",
    "methods",
    "neighbourhood_loss",
    "neighbours",
    "open_source",
    "select_anchors",
    "train_pipeline",
    "unification_entropy",
    "weighted_knn",
]

_attribute = lazy_attributes(__name__, _HOMES)

# Names whose modules import TensorFlow.
_WITH_TENSORFLOW = {
    "AND",
    "MemoryBank",
    "NeighbourhoodCurriculum",
    "RoundSchedule",
    "TorchSGD",
    "bank_loss",
    "build_encoder",
    "discover",
    "embed",
    "load_encoder",
    "neighbourhood_loss",
}


def __getattr__(name: str) -> Any:
    """A public name, imported at its first use."""
    if name not in _WITH_TENSORFLOW:
        return _attribute(name)
    from and_tf.data.startup_lines import starting_tensorflow
    from and_tf.encoders.keras_settings import check_backend

    check_backend()
    return starting_tensorflow(lambda: _attribute(name))
