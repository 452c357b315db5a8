"""The folder of a run: its flags, metrics, checkpoint, round ends and exports."""

import contextlib
import importlib
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from and_tf.data.manifest import Manifest
from and_tf.errors import Argument, BrokenFile, NotFound, UserError
from and_tf.runs import checkpoint, metrics_file, schema
from and_tf.runs.archives import check_size, check_unpacked_size, most_unpacked_bytes
from and_tf.runs.atomic_files import replace_by_link, replace_file
from and_tf.runs.flag_file import flag_file_text, read_flag_file
from and_tf.runs.lock import locked
from and_tf.runs.own_checkpoint import check_checkpoint
from and_tf.runs.places import check_local, expanded
from and_tf.runs.weights_limit import weights_within
from and_tf.settings import SettingError, Settings, build, parse_all

S = TypeVar("S", bound=Settings)
MOST_OF_IMAGES = 4 << 30  # bytes: names, sizes and checksums of 100 million files


class Workdir:
    """Paths and files of one run; everything that a run stores is written through this class.

    Args:
        path: folder of the run; created when something is written.
        is_writable: False in a process that is not the chief, whose writes are dropped.
    """

    def __init__(self, path: str | Path, is_writable: bool = True):
        self.path = expanded(path)
        self.is_writable = is_writable
        self.flags = self.path / "flags.cfg"
        self.metadata = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.images = self.path / "images.npz"
        self.checkpoint = self.path / "checkpoints" / "last.npz"
        self.previous_checkpoint = self.path / "checkpoints" / "previous.npz"
        self.best_checkpoint = self.path / "checkpoints" / "best.npz"
        self.rounds = self.path / "rounds"
        self.discovery = self.path / "discovery"
        self.tensorboard = self.path / "tensorboard"
        self.board = self.tensorboard / "report"
        self.network = self.path / "network.json"
        self.augmented = self.path / "augmented.png"
        self.summary = self.path / "summary.txt"
        self.exports = self.path / "export"
        self.evaluations = self.path / "evaluations"
        self._check_held: Callable[[], None] = lambda: None

    def holds_state(self) -> bool:
        """Whether results of training are stored: a checkpoint, even a corrupt one, or metrics.

        A start that ended before that left nothing worth keeping.
        """
        kept = [*self.checkpoint.parent.glob("*"), *self.rounds.glob("*")]
        if any(path.suffix != ".partial" for path in kept) or self.summary.is_file():
            return True
        return self.metrics.is_file() and self.metrics.stat().st_size > 0

    def round_file(self, number: int) -> Path:
        return self.rounds / f"round_{number}.npz"

    def ended_rounds(self) -> list[int]:
        """Numbers of the rounds whose end is stored, ascending; other files are ignored."""
        names = [re.fullmatch(r"round_(0|[1-9]\d*)\.npz", p.name) for p in self.rounds.glob("*")]
        numbers = sorted(int(name[1]) for name in names if name)
        return [number for number in numbers if self.round_file(number).is_file()]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing; a write after the folder was deleted raises.

        Raises:
            UserError: if another process holds the lock.
        """
        if not self.is_writable:
            yield
            return
        self.check_folders()
        with locked(self.path) as self._check_held:
            yield

    def check_folders(self) -> None:
        """Refuses links in place of the run's own folders, through which files would be written.

        The folder of the run may itself be named by a link.

        Raises:
            UserError: if one of them is a link.
        """
        own = [self.checkpoint.parent, self.rounds, self.exports, self.evaluations]
        for folder in [*own, self.discovery, self.tensorboard, self.board]:
            if folder.is_symlink():
                raise UserError(
                    f"{folder} is a link to {os.readlink(folder)}: nothing is written through "
                    "links in the folder of a run. Put the folder itself there, or remove the link."
                )

    def can_write(self) -> bool:
        """Whether this process writes the run's files.

        Raises:
            NotFound: if the folder was deleted or replaced under the run.
        """
        self._check_held()
        return self.is_writable

    def _replace(self, path: Path, content: str | bytes) -> None:
        if self.can_write():
            replace_file(path, content)

    def write_flags(self, settings: Settings) -> None:
        """Writes every setting with its value, readable by `--flagfile`."""
        self._replace(self.flags, flag_file_text(settings))

    def read_flags(self) -> dict[str, str]:
        """The settings that the run was started with, as text by name.

        Raises:
            NotFound: if the folder contains no run.
            BrokenFile: if they cannot be read.
        """
        if not self.flags.is_file():
            raise NotFound(
                Argument("workdir", str(self.path)), " holds no run (flags.cfg is missing): name "
                "the folder of a run, or train first.",
            )  # fmt: skip
        return read_flag_file(self.flags)

    def read_settings(self, cls: type[S]) -> S:
        """The settings of one class, such as `DataSettings`, that the run was started with.

        Raises:
            NotFound: as in `read_flags`.
            BrokenFile: as in `read_flags`, or if a value is invalid.
        """
        try:
            return build(cls, parse_all([cls], self.read_flags()))
        except SettingError as error:
            raise BrokenFile(f"{self.flags} is corrupt ({error}): restore it.") from error

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        """Writes run.json: properties of the images that are measured once, and versions used."""
        self._replace(self.metadata, json.dumps(metadata, indent=2) + "\n")

    def read_metadata(self) -> dict[str, Any]:
        """Reads what `write_metadata` wrote.

        Raises:
            BrokenFile: if it is missing or corrupt, including the mean and std for normalisation.
        """
        metadata = schema.read_object(self.metadata, schema.RUN)
        if len(metadata["mean"]) != len(metadata["std"]):
            raise BrokenFile(
                f"{self.metadata} cannot be read (mean and std have {len(metadata['mean'])} and "
                f"{len(metadata['std'])} values): restore it."
            )
        return metadata

    def write_network(self, encoder: keras.Model) -> None:
        """Stores the layers of an encoder that its name alone does not define."""
        self._replace(self.network, encoder.to_json() + "\n")

    def read_network(self) -> keras.Model:
        """An encoder with the layers that `write_network` stored, and newly initialised weights.

        Raises:
            BrokenFile: if they cannot be read.
        """
        try:
            config = schema.parse(schema.read_regular(self.network))
            if "keras_hub>" in json.dumps(config):  # registers the layers of its backbones
                importlib.import_module("keras_hub")
            with weights_within(self.most_weights()):
                return keras.saving.deserialize_keras_object(config, safe_mode=True)
        except Exception as error:  # corruption causes many kinds
            reason = str(error).strip().partition("\n")[0][:200]
            raise BrokenFile(
                f"{self.network}, the layers of the encoder, cannot be read ({reason}): restore it."
            ) from error

    def most_weights(self) -> int:
        """The most bytes of weights that the run's checkpoints can contain."""
        paths = [*self.checkpoint.parent.glob("*.npz"), *self.rounds.glob("*.npz")]
        sizes = [most_unpacked_bytes(path) for path in paths if path.is_file()]
        return max(sizes, default=1 << 62)  # without a checkpoint none is read

    def write_summary(self, text: str) -> None:
        """Writes summary.txt, which marks the run as finished."""
        self._replace(self.summary, text)

    def write_discovered(self, path: Path, content: bytes) -> None:
        """Writes a file to the folder of discovery."""
        self._replace(path, content)

    def write_images(self, images: Manifest) -> None:
        """Stores names, sizes and checksums of the training images."""
        file, arrays = io.BytesIO(), dict[str, Any](images.arrays())
        np.savez_compressed(file, **arrays)
        self._replace(self.images, file.getvalue())

    def read_images(self) -> Manifest:
        """Reads what `write_images` stored.

        Raises:
            BrokenFile: if it cannot be read.
        """
        try:
            check_size(self.images, MOST_OF_IMAGES)
            check_unpacked_size(self.images)
            with np.load(self.images, allow_pickle=False) as arrays:
                return Manifest.from_arrays({name: arrays[name] for name in arrays.files})
        except Exception as error:
            raise BrokenFile(f"{self.images} cannot be read ({error}): restore it.") from error

    def save_checkpoint(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Writes the last checkpoint and keeps the one before; raises as `checkpoint.save` does."""
        if self.can_write():
            checkpoint.save(self.checkpoint, arrays, metadata, self.previous_checkpoint)

    def save_best(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Writes best.npz; raises as `checkpoint.save` does."""
        if self.can_write():
            checkpoint.save(self.best_checkpoint, arrays, metadata)

    def link_best(self, number: int) -> bool:
        """Links the end of a round as the best checkpoint; False if it must be written instead."""
        return not self.can_write() or replace_by_link(
            self.best_checkpoint, self.round_file(number)
        )

    def save_round(self, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        """Stores the end of round `metadata["round"]` permanently; raises as `checkpoint.save`."""
        if self.can_write():
            checkpoint.save(self.round_file(metadata["round"]), arrays, metadata)

    def load_checkpoint(
        self, which: str = "last", prefix: str | tuple[str, ...] = ""
    ) -> tuple[dict[str, np.ndarray], dict[str, Any], Path]:
        """Loads a checkpoint: arrays, metadata and path; the previous one if the last is corrupt.

        Args:
            which: `last`, `best` or `round_N`.
            prefix: one or several prefixes, such as `checkpoint.ENCODER`; only arrays whose names
                begin with one are read.

        Raises:
            NotFound: if there is none.
            BrokenFile: if none is valid, or it is of another run.
        """
        if which == "last":
            found = checkpoint.load_newest([self.checkpoint, self.previous_checkpoint], prefix)
            self._check_checkpoint(found[1], found[2])
            return found
        kept = {f"round_{number}": self.round_file(number) for number in self.ended_rounds()}
        if self.best_checkpoint.is_file():
            kept["best"] = self.best_checkpoint
        if which not in kept:
            has_last = self.checkpoint.is_file() or self.previous_checkpoint.is_file()
            held = ", ".join([*(["last"] if has_last else []), *kept])
            raise NotFound(
                Argument("checkpoint", which),
                f" is not in {self.path}. It holds {held or 'none: train first'}.",
            )
        arrays, metadata = checkpoint.load(kept[which], prefix)
        number = None if which == "best" else int(which.removeprefix("round_"))
        self._check_checkpoint(metadata, kept[which], number)
        return arrays, metadata, kept[which]

    def origin(self, names: Collection[str], images: str) -> dict[str, Any]:
        """What distinguishes the checkpoints of this run from those of others; stored in each.

        Args:
            names: of the settings that change the result.
            images: `Manifest.content` of the training images.
        """
        settings = {name: text for name, text in self.read_flags().items() if name in names}
        return {"images": images, "settings": settings}

    def _check_checkpoint(
        self, metadata: Mapping[str, Any], path: Path, number: int | None = None
    ) -> None:
        """Refuses a checkpoint of another run; arguments as in `check_checkpoint`."""
        texts = self.read_flags() if self.flags.is_file() else {}
        known = self.read_metadata() if self.metadata.is_file() else {}
        check_checkpoint(metadata, path, number, texts, known)

    def append_metrics(self, records: Sequence[dict]) -> None:
        """Adds lines to metrics.jsonl, all or none.

        Raises:
            OSError: if they cannot be written, such as on a full disk.
        """
        if self.can_write():
            metrics_file.append(self.metrics, records)

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl; raises as `metrics_file.read` does."""
        return metrics_file.read(self.metrics)

    def forget_after(self, step: int) -> None:
        """Discards the metrics after a step, which a continued run measures again."""
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        self._replace(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))


def newest_run(root: str | Path = "runs") -> Workdir:
    """The run under `root` with the newest checkpoint.

    Raises:
        NotFound: if there is none.
    """
    root = expanded(root)
    files = [path for path in root.glob("**/checkpoints/last.npz") if path.is_file()]
    if not files:
        raise NotFound(
            f"No run under {root.absolute()}: train first, or name the folder of a run by ",
            Argument("workdir"), ".",
        )  # fmt: skip
    return Workdir(max(files, key=lambda file: file.stat().st_mtime).parent.parent)


def open_run(path: str) -> Workdir:
    """The run in a folder, or the newest run if the path is empty.

    Raises:
        UserError: if the path is an address such as gs://bucket.
    """
    check_local("workdir", path)
    return Workdir(path) if path else newest_run()
