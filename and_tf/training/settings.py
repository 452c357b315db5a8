"""All settings of an experiment: the flags of train.py, which a run stores in flags.cfg."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from and_tf.data.settings import OF_INIT, AugmentationSettings, DataSettings
from and_tf.encoders.settings import EncoderSettings
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.methods import METHODS
from and_tf.methods.choice import MethodChoice
from and_tf.methods.method import Method
from and_tf.methods.rounds import LR_POLICIES
from and_tf.settings import (
    SettingError,
    Settings,
    above,
    at_least,
    between,
    build,
    fields_of,
    parse_all,
    refuse_unused,
    setting,
    unused,
)
from and_tf.settings.former import without_former
from and_tf.training.cluster import HIGHEST_PORT, PORT

if TYPE_CHECKING:
    from and_tf.runs.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class OptimizerSettings(Settings):
    """Optimisation."""

    batch_size: int = setting(128, "Images in a step, over all devices.", at_least(1))
    learning_rate: float = setting(0.03, "Learning rate at the start.", above(0))
    lr_policy: str = setting(
        "step",
        "step: x 0.1 at 60 % and 80 % of each round; cosine: per round; cosine_run: once over "
        "the whole run; constant.",
        choices=LR_POLICIES,
    )
    momentum: float = setting(0.9, "Nesterov momentum.", between(0, 1, True, True))
    weight_decay: float = setting(5e-4, "Added to the gradient of every parameter.", at_least(0))


@dataclasses.dataclass(frozen=True)
class RunSettings(Settings):
    """Run."""

    name: str = setting("and", "Name of the experiment.", may_change=True)
    workdir: str = setting("", "Folder of the run; by default runs/NAME.", may_change=True)
    seed: int = setting(
        0, "Seed of initial weights, data order and augmentation.", between(0, 2**32 - 1)
    )
    deterministic: bool = setting(False, "Equal results from equal commands, at some cost.")
    eval_every: int = setting(
        10, "Epochs between evaluations; 0: only at round ends.", at_least(0), may_change=True
    )
    eval_images: int = setting(
        50_000,
        "Most training images that an evaluation during training uses; they are evenly spaced.",
        at_least(2),
        may_change=True,
    )
    checkpoint_epochs: int = setting(
        1,
        "Epochs between checkpoints; 0: only at round ends. If an epoch takes seconds, writing "
        "takes much of that time.",
        at_least(0),
        may_change=True,
    )
    checkpoint_steps: int = setting(
        0, "Steps between further checkpoints; 0: none.", at_least(0), may_change=True
    )
    checkpoint_minutes: float = setting(
        10.0, "Save at least this often.", above(0), may_change=True
    )

    @property
    def folder(self) -> str:
        """The folder of the run."""
        return self.workdir or f"runs/{self.name}"


@dataclasses.dataclass(frozen=True)
class DeviceSettings(Settings):
    """Devices, precision and memory."""

    strategy: str = setting(
        "none",
        "mirrored: all GPUs of this machine, else CPUs. multiworker: processes on one or more "
        "machines, one per GPU, which TF_CONFIG or Slurm names; start all with the same flags.",
        choices=("none", "mirrored", "multiworker"),
        moves_rounding=True,
    )
    worker_port: int = setting(
        PORT,
        "Under Slurm, the port of the first process on each machine; the others take the next.",
        between(1, HIGHEST_PORT),
        may_change=True,
    )
    worker_timeout: float = setting(
        300.0,
        "Seconds to wait for the other processes at the start.",
        between(0, 86_400, is_open=True),
        may_change=True,
    )
    precision: str = setting(
        "float32",
        "Arithmetic of the encoder; norms, bank and loss stay in float32. mixed: bfloat16, or "
        "float16 with loss scaling on a GPU that lacks it.",
        choices=("float32", "mixed", "mixed_bfloat16", "mixed_float16"),
    )
    jit_compile: str = setting(
        "auto",
        "Compile with XLA; auto: off. On a CPU oneDNN is faster; on the GPU that was tried the "
        "first step took minutes, or training failed.",
        choices=("auto", "on", "off"),
        moves_rounding=True,
    )
    steps_per_execution: int = setting(
        0,
        "Steps that TensorFlow runs in one call; 0: 50 on one GPU, else 1.",
        at_least(0),
        may_change=True,
    )
    augment_on: str = setting(
        "auto",
        "Augment on the host, in parallel with the step, or on the device, within it; auto: "
        "on a GPU.",
        choices=("auto", "host", "device"),
        moves_rounding=True,
    )
    input_processes: int = setting(
        0,
        "Processes that read, crop and augment photos; 1: the program itself, by its threads; 0: "
        "one for each core where a GPU trains, else 1.",
        between(0, 1024),
        may_change=True,
    )
    cache_mb: int = setting(
        4096,
        "Decoded images are kept in memory up to this size.",
        at_least(0),
        may_change=True,
    )


@dataclasses.dataclass(frozen=True)
class ExperimentSettings(Settings):
    """All settings of an experiment.

    Attributes:
        method: the settings of the chosen method, which also builds its model; see `METHODS`.
    """

    run: RunSettings = dataclasses.field(default_factory=RunSettings)
    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    augmentation: AugmentationSettings = dataclasses.field(default_factory=AugmentationSettings)
    encoder: EncoderSettings = dataclasses.field(default_factory=EncoderSettings)
    choice: MethodChoice = dataclasses.field(default_factory=MethodChoice)
    method: Method = dataclasses.field(default_factory=lambda: METHODS["and"]())
    optimizer: OptimizerSettings = dataclasses.field(default_factory=OptimizerSettings)
    devices: DeviceSettings = dataclasses.field(default_factory=DeviceSettings)

    def __post_init__(self) -> None:
        if self.augmentation.image_size == OF_INIT and not self.encoder.init:
            raise SettingError(
                Argument("image_size", OF_INIT), " is the size of ", Argument("init"), ": give it."
            )
        if not isinstance(self.method, self.choice.method_class):
            raise SettingError(
                Argument("method", self.choice.method), " is built by the settings "
                f"{self.choice.method_class.__name__}, and these are {type(self.method).__name__}: "
                "give those.",
            )  # fmt: skip
        if self.encoder.is_of_init and self.method.has_own_encoder:
            raise SettingError(
                Argument("method", self.choice.method), " builds its own encoder, not that of ",
                Argument("init"), ": name another ", Argument("encoder"), ".",
            )  # fmt: skip

    @property
    def title(self) -> str:
        """The method, and how these settings differ from the published one, for headings."""
        changes = [*self.method.variations, *["horizontal flips"] * self.augmentation.flip]
        if not changes:
            return self.method.title
        *others, last = changes
        listed = f"{', '.join(others)} and {last}" if others else last
        return f"{self.method.title} with {listed}"

    @property
    def keeps_network(self) -> bool:
        """Whether the run's folder stores the encoder's layers, because no name defines them."""
        return self.encoder.is_of_init or self.method.has_own_encoder

    @property
    def takes_steps(self) -> bool:
        """Whether a run trains at all."""
        return self.method.trains and self.method.plan.total_epochs > 0

    @property
    def keeps_random_weights(self) -> bool:
        """Whether the encoder stays as it is initialised: no step is taken, no weights loaded."""
        return not self.takes_steps and not self.encoder.init


def experiment_settings(values: Mapping[str, Any]) -> ExperimentSettings:
    """Builds settings from flat values, such as those of flags.

    Missing values default to the method's `recipe`, or else to their own default.

    Raises:
        SettingError: if a value is not accepted, or a setting belongs to a method other than the
            chosen one.
    """
    choice = build(MethodChoice, values)
    refuse_unused(values, ExperimentSettings, Argument("method", choice.method), METHODS)
    values = {**choice.method_class.recipe, **values}
    encoder = build(EncoderSettings, values)
    if encoder.init and values.get("image_size") is None:
        values = {**values, "image_size": OF_INIT}  # known once the weights are opened
    return ExperimentSettings(
        run=build(RunSettings, values),
        data=build(DataSettings, values),
        augmentation=build(AugmentationSettings, values),
        encoder=encoder,
        choice=choice,
        method=build(choice.method_class, values),
        optimizer=build(OptimizerSettings, values),
        devices=build(DeviceSettings, values),
    )


def unused_names(values: Mapping[str, Any]) -> list[str]:
    """Names among flat values that the chosen method does not use, and that are refused.

    These are settings of other methods, and of a curriculum if the method has none.
    """
    choice = build(MethodChoice, values)
    of_others = unused(values, ExperimentSettings, choice.method, METHODS)
    plan = choice.method_class().plan
    return [*of_others, *(name for name in plan.of_curriculum if values.get(name))]


def read_settings(run: Workdir) -> ExperimentSettings:
    """Reads the settings that a run was started with.

    Runs of older versions stored the settings of all methods, and former ones; both are left out.

    Raises:
        NotFound: if the folder contains no run.
        BrokenFile: if its flags.cfg is corrupt.
        UserError: if it has a value of a former setting that this version no longer has.
    """
    texts = without_former(run.read_flags(), run.flags)
    classes: list[type[Settings]] = [ExperimentSettings, *METHODS.values()]
    known = {field.name for cls in classes for field in fields_of(cls)}
    if unknown := sorted(texts.keys() - known):
        raise BrokenFile(
            f"{run.flags} is corrupt (there is no setting {unknown[0]}): restore it, or use the "
            "version of this program that wrote it."
        )
    try:
        values = parse_all(classes, texts)
        method = build(MethodChoice, values).method
        for name in unused(values, ExperimentSettings, method, METHODS):
            del values[name]
        return experiment_settings(values)
    except UserError as error:
        raise BrokenFile(f"{run.flags} is corrupt ({error}): restore it.") from error
