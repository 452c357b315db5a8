"""What processes must have in common to train together."""

import importlib.metadata
import platform

from and_tf import __version__
from and_tf.settings import flat_values
from and_tf.training.onednn import onednn
from and_tf.training.settings import ExperimentSettings

# Images and the run's folder are compared by their contents: their paths may differ.
DIFFER_FREELY = ("data", "data_dir", "eval_data", "workdir", "cache_mb", "input_processes")
PACKAGES = (
    "numpy",
    "scipy",
    "pillow",
    "pillow-heif",
    "scikit-learn",
    "keras",
    "keras-hub",
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-datasets",
    "faiss-cpu",
)


def identity(settings: ExperimentSettings) -> dict[str, str]:
    """The versions and settings of a process as text, by name."""
    values = flat_values(settings)
    return {
        "and_tf": __version__,
        "python": platform.python_version(),
        "onednn": onednn(),
        **{package: _version(package) for package in PACKAGES},
        **{name: str(value) for name, value in values.items() if name not in DIFFER_FREELY},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
