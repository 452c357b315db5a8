"""The folder of a run: its flags, metrics, checkpoint, round ends and exports."""

import errno
import io
import json
import os
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import keras
import numpy as np

from and_tf import encoders
from and_tf.data.manifest import Manifest
from and_tf.errors import Argument, BrokenFile, NotFound
from and_tf.runs import checkpoint
from and_tf.runs.atomic_files import replace_file
from and_tf.runs.flag_file import read_flag_file
from and_tf.settings import SettingError, Settings, build, parse_all

S = TypeVar("S", bound=Settings)


class Workdir:
    """Paths and small files of one run.

    Args:
        path: folder of the run; created when something is written.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.flags = self.path / "flags.cfg"
        self.facts = self.path / "run.json"
        self.metrics = self.path / "metrics.jsonl"
        self.images = self.path / "images.npz"
        self.checkpoint = self.path / "checkpoints" / "last.npz"
        self.previous_checkpoint = self.path / "checkpoints" / "previous.npz"
        self.best_checkpoint = self.path / "checkpoints" / "best.npz"
        self.rounds = self.path / "rounds"
        self.tensorboard = self.path / "tensorboard"
        self.augmented = self.path / "augmented.png"
        self.summary = self.path / "summary.txt"
        self.exports = self.path / "export"
        self.evaluations = self.path / "evaluations"

    def round_file(self, number: int) -> Path:
        return self.rounds / f"round_{number}.npz"

    def write_flags(self, options: types.SimpleNamespace) -> None:
        """Writes every flag with its value, readable by `--flagfile`."""
        given = {name: "" if value is None else value for name, value in vars(options).items()}
        lines = [f"--{name}={value}" for name, value in given.items()]
        replace_file(self.flags, "\n".join(lines) + "\n")

    def read_flags(self) -> dict[str, str]:
        """The flags that the run was started with.

        Raises:
            FileNotFoundError: if the folder holds no run.
            ValueError: if its flags cannot be read.
        """
        if not self.flags.is_file():
            raise FileNotFoundError(
                f"--workdir={self.path} holds no run (flags.cfg is missing): name the folder of a "
                "run, or train first."
            )
        return read_flag_file(self.flags)

    def read_settings(self, cls: type[S]) -> S:
        """The settings of one kind that the run was started with, such as `DataSettings`.

        Raises:
            NotFound, BrokenFile: as `read_flags`; if a value is not taken.
        """
        try:
            return build(cls, parse_all([cls], self.read_flags()))
        except SettingError as error:
            raise BrokenFile(f"{self.flags} is corrupt ({error}): restore it.") from error

    def write_facts(self, facts: dict) -> None:
        replace_file(self.facts, json.dumps(facts, indent=2) + "\n")

    def read_facts(self) -> dict:
        """What `write_facts` wrote.

        Raises:
            ValueError: if it is missing or damaged, above all the numbers that pixels are taken by.
        """
        try:
            facts = json.loads(self.facts.read_text())
            if not all(np.isfinite(facts[name]).all() for name in ("mean", "std")):
                raise ValueError("mean or std is NaN or infinite")
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"there is no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{self.facts} cannot be read ({reason}): restore it.") from error
        return facts

    def write_summary(self, text: str) -> None:
        """Writes summary.txt, which marks the run as finished."""
        replace_file(self.summary, text)

    def write_images(self, images: Manifest) -> None:
        """Keeps names, sizes and checksums of the training images."""
        file = io.BytesIO()
        np.savez_compressed(file, **images.arrays())
        replace_file(self.images, file.getvalue())

    def read_images(self) -> Manifest:
        try:
            with np.load(self.images, allow_pickle=False) as arrays:
                return Manifest.from_arrays({name: arrays[name] for name in arrays.files})
        except Exception as error:
            raise ValueError(f"{self.images} cannot be read ({error}): restore it.") from error

    def load_checkpoint(self, which: str = "last") -> tuple[dict[str, np.ndarray], dict, Path]:
        """Arrays, metadata and path of a checkpoint; a corrupt last one gives way to the previous.

        Args:
            which: `last`, `best` or `round_N`.

        Raises:
            NotFound: if there is none.
            BrokenFile: if all that are left are corrupt.
        """
        if which == "last":
            return checkpoint.load_newest([self.checkpoint, self.previous_checkpoint])
        path = self.best_checkpoint if which == "best" else self.rounds / f"{which}.npz"
        if not re.fullmatch(r"best|round_\d+", which) or not path.is_file():
            kept = [file.stem for file in sorted(self.rounds.glob("round_*.npz"))]
            kept += ["best"] if self.best_checkpoint.is_file() else []
            raise NotFound(
                Argument("checkpoint", which),
                f" is not in {self.path}. It holds {', '.join(['last', *kept])}.",
            )
        return (*checkpoint.load(path), path)

    def append_metrics(self, records: Sequence[dict]) -> None:
        """Adds lines to metrics.jsonl, all or none."""
        text = "".join(json.dumps(record) + "\n" for record in records).encode()
        with open(self.metrics, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.metrics))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)  # no half a line for the next one to follow
                raise

    def read_metrics(self) -> list[dict]:
        """Records of metrics.jsonl; a last line that a kill cut short is left out.

        Raises:
            ValueError: if another line is damaged; a continued run would drop what follows it.
        """
        lines = self.metrics.read_bytes().splitlines() if self.metrics.is_file() else []
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(json.loads(line))
                records[-1]["step"]
            except (ValueError, KeyError, TypeError) as error:
                if number == len(lines):
                    return records[: number - 1]
                raise ValueError(
                    f"{self.metrics} is damaged in line {number}: restore it, or remove that line."
                ) from error
        return records

    def forget_after(self, step: int) -> None:
        """Drops the metrics after a step, which a continued run measures again."""
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        replace_file(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))


def differences(old: types.SimpleNamespace, new: types.SimpleNamespace) -> list[str]:
    """The flags that change the result and differ, as `--name=old, now new`."""
    from and_tf.settings import differences as different
    from and_tf.training.settings import experiment_settings

    names = different(
        experiment_settings(vars(old)), experiment_settings(vars(new)), new.deterministic
    )
    return [f"--{name}={getattr(old, name, None)}, now {getattr(new, name)}" for name in names]


def newest_run(root: str | Path = "runs") -> Workdir:
    """The run under `root` whose checkpoint is the newest.

    Raises:
        FileNotFoundError: if there is none.
    """
    files = list(Path(root).glob("**/checkpoints/last.npz"))
    if not files:
        raise FileNotFoundError(f"No run under {root}/: train first, or pass --workdir=RUN.")
    return Workdir(max(files, key=lambda file: file.stat().st_mtime).parent.parent)


def open_run(path: str) -> Workdir:
    """The run in a folder, or the newest one where the path is empty."""
    return Workdir(path) if path else newest_run()


def encoder_of(options, mean, std, synchronized_batch_norm: bool = False) -> keras.Model:
    """Interim: the encoder that flat settings describe."""
    return encoders.build_encoder(
        options.encoder,
        input_shape=(options.image_size, options.image_size, 3),
        embedding_dim=options.embedding_dim,
        mean=mean,
        std=std,
        synchronized_batch_norm=synchronized_batch_norm,
        seed=options.seed,
    )
