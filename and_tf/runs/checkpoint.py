"""Checkpoints: the whole state of a run in one file, written atomically, without pickles."""

import collections
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.runs.atomic_files import sync_folder


def encoder_state(encoder: keras.Model) -> dict[str, keras.Variable]:
    """All variables of an encoder by a name that does not depend on what was built before."""
    state = {}
    for layer in encoder.layers:
        names = collections.Counter()
        for variable in layer.variables:
            names[variable.name] += 1
            count = names[variable.name]  # above 1 where the layer is a model of several layers
            suffix = f"_{count}" if count > 1 else ""
            state[f"encoder/{layer.name}/{variable.name}{suffix}"] = variable
    return state


def round_state(model: AND) -> dict[str, keras.Variable]:
    """What a finished round leaves: encoder, neighbours, anchors and their entropy."""
    return encoder_state(model.encoder) | {
        "neighbours": model.neighbours,
        "is_anchor": model.is_anchor,
        "entropy": model.entropy,
        "round": model.round,
    }


def training_state(model: AND) -> dict[str, keras.Variable]:
    """Everything that training changes: the round's state, bank, optimiser and running loss."""
    state = round_state(model) | {"bank": model.bank.rows}
    state |= {f"optimizer/{i:04d}": v for i, v in enumerate(model.optimizer.variables)}
    return state | {f"loss/{i}": v for i, v in enumerate(model.loss_tracker.variables)}


def state_bytes(state: dict[str, keras.Variable]) -> int:
    """Size of a checkpoint of this state in bytes."""
    return sum(
        int(np.prod(v.shape)) * np.dtype(keras.backend.standardize_dtype(v.dtype)).itemsize
        for v in state.values()
    )


def values(state: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Copies of the variables' values."""
    return {name: np.array(variable.numpy()) for name, variable in state.items()}


def save(
    path: Path, arrays: dict[str, np.ndarray], facts: dict, previous: Path | None = None
) -> None:
    """Writes arrays and facts (JSON) beside `path`, then renames: a kill leaves the old file.

    Args:
        path: of the checkpoint.
        arrays: `values` of a state.
        facts: what JSON can hold.
        previous: where the file that stood at `path` is kept; None to replace it.

    Raises:
        ValueError: if an array is not finite; the old file stays.
        OSError: if it cannot be written, for a full disk say; the old file stays.
    """
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        raise ValueError(f"{', '.join(broken[:3])} hold NaN or infinite values: not saved.")
    path.parent.mkdir(exist_ok=True)  # not its parents: a run that was deleted stays deleted
    temporary = path.with_name(path.name + ".partial")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            _keep(path, previous)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _keep(path: Path, previous: Path) -> None:
    """Gives the file a second name, so that at no moment there is none at `path`."""
    second = previous.with_name(previous.name + ".partial")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:  # a file system without hard links: then `load_newest` looks at both names
        os.replace(path, previous)
    else:
        os.replace(second, previous)


def load_newest(paths: Sequence[Path]) -> tuple[dict[str, np.ndarray], dict, Path]:
    """Arrays, facts and path of the first checkpoint that is sound; damaged ones are named.

    Args:
        paths: from the newest to the oldest.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if all are damaged.
    """
    found = [path for path in paths if path.is_file()] or list(paths[:1])
    for path, older in itertools.pairwise(found):
        try:
            return (*load(path), path)
        except ValueError:
            print(f"{path} is damaged and passed over: {older} is tried.", file=sys.stderr)
    return (*load(found[-1]), found[-1])


def load(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays by name and the facts of a checkpoint; every array is checked against its CRC.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged or no checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} holds no checkpoint: train first, or name another run.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, dict(json.loads(str(arrays.pop("facts"))))
    except Exception as error:  # damage shows in a dozen kinds of zipfile, numpy and json
        raise ValueError(
            f"The checkpoint {path} is damaged ({error}): restore it from a copy, or train anew in "
            "another --workdir."
        ) from error


def restore(state: dict[str, keras.Variable], arrays: dict[str, np.ndarray], path: Path) -> None:
    """Assigns arrays to the variables of the same names.

    Raises:
        ValueError: before anything is assigned, if a name, shape or dtype differs.
    """
    for name, variable in state.items():
        found = arrays[name].shape if name in arrays else "none"
        if found != tuple(variable.shape):
            raise ValueError(
                f"The checkpoint {path} is of another model: {name} has shape {found} there and "
                f"{tuple(variable.shape)} here. Use the flags, and the version of this program, "
                "it was trained with, or another --workdir."
            )
        dtype = keras.backend.standardize_dtype(variable.dtype)
        was_int32 = name == "neighbours" and arrays[name].dtype == "int32"  # in older versions
        if arrays[name].dtype != dtype and not was_int32:
            raise ValueError(
                f"The checkpoint {path} is damaged: {name} holds {arrays[name].dtype} and not "
                f"{dtype}. Restore it from a copy, or train anew in another --workdir."
            )
    for name, variable in state.items():
        variable.assign(arrays[name])
