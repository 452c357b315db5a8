"""Checkpoints: the whole state of a run in one file, written atomically, without pickles."""

import collections
import itertools
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from and_tf.errors import Argument, BrokenFile, NotFound, StepNotFinite
from and_tf.runs import schema
from and_tf.runs.archives import check_unpacked_size
from and_tf.runs.atomic_files import replace_by

if TYPE_CHECKING:  # methods are a higher layer
    from and_tf.methods.method_model import MethodModel

logger = logging.getLogger(__name__)

METADATA = "facts"  # its name in the file, since the first version
ENCODER = "encoder/"  # prefix of the names of an encoder's arrays


class Stored(Protocol):
    """What a checkpoint writes and restores: a `keras.Variable`, or an object like one.

    If several processes train together, all of them read the values at the same time.
    """

    shape: tuple[int, ...]
    dtype: str

    def numpy(self) -> np.ndarray:
        """The values; a later step may change them unless they own their memory."""

    def assign(self, value: np.ndarray) -> Any:
        """Replaces the values by others of the same shape and dtype."""


def encoder_state(encoder: keras.Model) -> dict[str, keras.Variable]:
    """All variables of an encoder, by names that do not depend on what was built before."""
    state = {}
    for layer in encoder.layers:
        for name, variable in layer_state(layer).items():
            state[f"{ENCODER}{layer.name}/{name}"] = variable
    return state


def layer_state(layer: keras.layers.Layer) -> dict[str, keras.Variable]:
    """The variables of a layer, by names that do not depend on what was built before."""
    state = {}
    names: collections.Counter[str] = collections.Counter()
    for variable in layer.variables:
        name = re.sub(r"^variable_\d+$", "variable", variable.name)  # Keras counts unnamed ones
        names[name] += 1
        count = names[name]  # above 1 if the layer is a model of several layers
        state[f"{name}_{count}" if count > 1 else name] = variable
    return state


def round_state(model: "MethodModel") -> dict[str, Stored]:
    """What is saved of a finished round: the encoder and the method's `round_state`."""
    return encoder_state(model.encoder) | model.round_state()


def training_state(model: "MethodModel") -> dict[str, Stored]:
    """Everything that training changes: encoder, the method's state, optimizer, running loss."""
    state = encoder_state(model.encoder) | model.state()
    state |= {f"optimizer/{i:04d}": v for i, v in enumerate(model.optimizer.variables)}
    return state | {f"loss/{i}": v for i, v in enumerate(model.loss_tracker.variables)}


def state_bytes(state: dict[str, Stored]) -> int:
    """Size of a checkpoint of this state in bytes."""
    return sum(
        int(np.prod(v.shape)) * np.dtype(keras.backend.standardize_dtype(v.dtype)).itemsize
        for v in state.values()
    )


def values(state: dict[str, Stored]) -> dict[str, np.ndarray]:
    """Copies of the variables' values, which no later step changes."""
    arrays = {name: np.asarray(variable.numpy()) for name, variable in state.items()}
    return {  # usually already a copy: a second one of ImageNet's bank would take 660 MB
        name: array if array.flags.owndata else array.copy() for name, array in arrays.items()
    }


def take_part(state: dict[str, Stored]) -> None:
    """Takes part in another process's `values` of a state, with this one's part of a bank."""
    for variable in state.values():
        if hasattr(variable, "take_part"):
            variable.take_part()


def save(
    path: Path, arrays: dict[str, np.ndarray], metadata: dict, previous: Path | None = None
) -> None:
    """Writes arrays and metadata next to `path`, then renames: a kill leaves the old file.

    Args:
        path: of the checkpoint.
        arrays: `values` of a state.
        metadata: what JSON can represent.
        previous: where to keep the old file of `path`; None to discard it.

    Raises:
        StepNotFinite: if an array is not finite; the old file stays.
        OSError: if it cannot be written, such as on a full disk; the old file stays.
    """
    broken = [name for name, array in arrays.items() if not _is_finite(array)]
    if broken:
        raise StepNotFinite(f"{', '.join(broken[:3])} hold NaN or infinite values: not saved.")
    named: dict[str, Any] = {METADATA: np.array(json.dumps(metadata)), **arrays}

    def write(partial: Path) -> None:
        with open(partial, "wb") as file:  # NumPy would add .npz to a path
            np.savez(file, **named)

    replace_by(path, write, previous)


def _is_finite(array: np.ndarray) -> bool:
    """Whether all values are finite; minimum and maximum propagate NaN and need no large mask."""
    array = np.asarray(array)
    return array.size == 0 or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def load_newest(
    paths: Sequence[Path], prefix: str | tuple[str, ...] = ""
) -> tuple[dict[str, np.ndarray], dict[str, Any], Path]:
    """Loads the first valid checkpoint: arrays, metadata and path; corrupt ones are logged.

    Args:
        paths: from the newest to the oldest.
        prefix: as in `load`.

    Raises:
        NotFound: if there is none.
        BrokenFile: if all of them are corrupt.
    """
    found = [path for path in paths if path.is_file()] or list(paths[:1])
    for path, older in itertools.pairwise(found):
        try:
            return (*load(path, prefix), path)
        except BrokenFile:
            logger.warning("%s is corrupt: trying %s instead.", path, older)
    return (*load(found[-1], prefix), found[-1])


def load(
    path: Path, prefix: str | tuple[str, ...] = ""
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Loads the arrays, by name, and the metadata of a checkpoint; arrays are checked by CRC.

    Args:
        path: of the file.
        prefix: one or several prefixes, such as `ENCODER`; only arrays whose names begin with one
            are read.

    Raises:
        NotFound: if the file does not exist.
        BrokenFile: if it is corrupt or not a checkpoint.
    """
    if not path.is_file():
        raise NotFound(f"{path} holds no checkpoint: train first, or name another run.")
    try:
        check_unpacked_size(path)
        with np.load(path, allow_pickle=False) as file:
            metadata = schema.parse(str(file[METADATA]))
            if fault := schema.CHECKPOINT.fault(metadata):
                raise ValueError(fault)
            names = [name for name in file.files if name != METADATA and name.startswith(prefix)]
            return {name: file[name] for name in names}, metadata
    except Exception as error:  # zipfile, numpy and json raise a dozen kinds
        raise BrokenFile(
            f"The checkpoint {path} is corrupt ({error}): restore it from a copy, or train again "
            "in another ", Argument("workdir"), ".",
        ) from error  # fmt: skip


def restore(
    state: dict[str, Stored],
    arrays: dict[str, np.ndarray],
    path: Path,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Assigns arrays to the variables, or objects like them, of the same names.

    Args:
        state: variables by name.
        arrays: of a checkpoint.
        path: of the checkpoint.
        ranges: by name, the lowest and highest value that an array may contain; the others may
            contain any finite values.

    Raises:
        BrokenFile: before anything is assigned, if an array is missing, has another shape or dtype,
            or contains values that training cannot have produced.
    """
    for name, variable in state.items():
        found = arrays[name].shape if name in arrays else "none"
        if found != tuple(variable.shape):
            raise BrokenFile(
                f"The checkpoint {path} is of another model: {name} has shape {found} there and "
                f"{tuple(variable.shape)} here. Use the settings and the version of this program "
                "that it was trained with, or another ", Argument("workdir"), ".",
            )  # fmt: skip
        dtype = keras.backend.standardize_dtype(variable.dtype)
        if arrays[name].dtype != dtype:
            raise BrokenFile(
                f"The checkpoint {path} is corrupt: {name} holds {arrays[name].dtype}, not "
                f"{dtype}. Restore it from a copy, or train again in another ",
                Argument("workdir"), ".",
            )  # fmt: skip
        if fault := fault_of_values(arrays[name], *(ranges or {}).get(name, ())):
            raise BrokenFile(
                f"The checkpoint {path} is corrupt: {name} holds {fault}. Restore it from a copy, "
                "or train again in another ", Argument("workdir"), ".",
            )  # fmt: skip
    for name, variable in state.items():
        variable.assign(arrays[name])


def fault_of_values(array: np.ndarray, lowest: float = -np.inf, highest: float = np.inf) -> str:
    """Describes the invalid values in an array; empty if there are none."""
    if not _is_finite(array):
        return "NaN or infinite values"
    if array.size == 0 or (lowest <= array.min() and array.max() <= highest):
        return ""
    wrong = array.min() if array.min() < lowest else array.max()
    return f"{wrong}, not values from {lowest:g} to {highest:g}"
