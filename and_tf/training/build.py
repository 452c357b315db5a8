"""The parts of an experiment, built from its flags; nothing is written here."""

import dataclasses
import platform
import types
import zlib

import keras
import numpy as np
import tensorflow as tf

from and_tf.data import passes
from and_tf.data.augmentation import views
from and_tf.data.manifest import Manifest, changes, manifest
from and_tf.data.pipeline import steps_per_epoch
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources import opening
from and_tf.data.sources import source as sources
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.rounds import RoundPlan
from and_tf.methods.schedule import RoundSchedule
from and_tf.runs.workdir import Workdir, encoder_of
from and_tf.training.compilation import choose_xla
from and_tf.training.devices import main_device
from and_tf.training.optimizers import TorchSGD

LARGEST_WHOLE = 64  # pixels; larger crops are cut from squares with a margin
HELD_BYTES = 2 << 30  # of images that a GPU holds: a quarter of the 8 GB that the smaller ones have


@dataclasses.dataclass
class Experiment:
    """The parts of a run, built from its flags."""

    options: types.SimpleNamespace
    run: Workdir
    train: sources.Source
    held_out: sources.Source | None
    images: Manifest
    plan: RoundPlan
    augmentation: AugmentationSettings
    load_size: int
    sends: str
    facts: dict
    schedule: RoundSchedule
    model: AND

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train), self.options.batch_size)

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.plan.total_epochs

    @property
    def step(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def is_epoch_end(self) -> bool:
        return self.step % self.steps_per_epoch == 0


def start_devices(options: types.SimpleNamespace) -> None:
    """Seeds, determinism and precision, before anything is built."""
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(options.precision)
    if options.precision != "float32":
        # Half precision is for the encoder: bank and softmax then get all 24 bits. In float32 a GPU
        # since Ampere rounds the factors of all products to 11 bits, as is TensorFlow's default.
        tf.config.experimental.enable_tensor_float_32_execution(False)


def build_experiment(options: types.SimpleNamespace, run: Workdir) -> Experiment:
    """Opens the images, checks the flags against them, and builds model and optimiser.

    Args:
        options: values of `flags.train_flags()`.
        run: the workdir, whose facts are used where the run has begun.

    Raises:
        ValueError, FileNotFoundError: if flags and images do not fit, or the images have changed.
    """
    train, held_out = opening.open_train_and_held_out(
        options.data,
        options.train_split,
        options.eval_split,
        options.eval_data,
        options.data_dir,
        options.labels,
        options.skip_broken,
    )
    _check_sizes(options, train)
    images = manifest(train)
    others = _other_facts(train, held_out)
    _check_unchanged(run, train, images, others)
    load_size = options.image_size
    if load_size > LARGEST_WHOLE:
        load_size = round(load_size * 8 / 7)
    budget = options.cache_mb << 20
    train = passes.cached(train, load_size, budget)
    if held_out is not None:
        held_out = passes.cached(held_out, options.image_size, budget)
    plan = RoundPlan(options.rounds, options.epochs_per_round, options.first_round_epochs)
    augmentation = AugmentationSettings(
        image_size=options.image_size,
        crop_min_area=options.crop_min_area,
        color_jitter=options.color_jitter,
        grey=options.grey,
        flip=options.flip,
    )
    facts = others | _facts(run, train, options.image_size)
    per_epoch = steps_per_epoch(len(train), options.batch_size)
    schedule = RoundSchedule(options.learning_rate, options.lr_policy, per_epoch, plan)
    sends = _sends(options, train, load_size)
    model = _build_model(options, train, schedule, facts, _views(sends, train, augmentation))
    return Experiment(
        options,
        run,
        train,
        held_out,
        images,
        plan,
        augmentation,
        load_size,
        sends,
        facts,
        schedule,
        model,
    )


def _check_sizes(options: types.SimpleNamespace, train: sources.Source) -> None:
    """Refuses numbers that do not fit the source before anything is written."""
    if options.neighbourhood_size >= len(train):
        raise ValueError(
            f"--neighbourhood_size={options.neighbourhood_size} must be smaller than the number of "
            f"images, {len(train)} from {train.name}: lower it or add images."
        )
    if len(train) < options.batch_size:
        raise ValueError(
            f"--batch_size={options.batch_size} exceeds the number of images, {len(train)} from "
            f"{train.name}: lower it or add images."
        )


def _other_facts(train: sources.Source, held_out: sources.Source | None) -> dict:
    """What tells labels and held-out images that changed: figures would mix two data sets."""
    facts = {"labels": _checksum_of(train.labels)}
    if held_out is not None:
        facts["held_out_labels"] = _checksum_of(held_out.labels)
        facts["held_out_fingerprint"] = held_out.fingerprint
    return facts


def _checksum_of(labels: np.ndarray | None) -> int:
    return 0 if labels is None else zlib.crc32(np.ascontiguousarray(labels))


def _check_unchanged(run: Workdir, train: sources.Source, images: Manifest, others: dict) -> None:
    """Refuses images that are not those that the run began with: a row of the bank is an image."""
    different = ""
    if run.facts.is_file():
        known = run.read_facts()
        for name, value in others.items():
            if known.get(name, value) != value:
                different = f"{name.replace('_', ' ')} differ"
    if run.images.is_file():
        different = changes(run.read_images(), images) or different
    elif run.facts.is_file() and run.read_facts().get("fingerprint") != train.fingerprint:
        different = f"its fingerprint is another (and {run.images.name}, which would tell, is gone)"
    if different:
        raise ValueError(
            f"{train.name} has changed since the run in {run.path} began: {different}. "
            "Restore the images or choose another --workdir."
        )


def _facts(run: Workdir, train: sources.Source, size: int) -> dict:
    """What is measured once of the images, kept in the workdir."""
    if run.facts.is_file():
        return run.read_facts()
    mean, std = passes.channel_statistics(train, size)
    return {
        "images": len(train),
        "fingerprint": train.fingerprint,
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def _sends(options: types.SimpleNamespace, train: sources.Source, load_size: int) -> str:
    """What the pipeline sends: views, or that of which the step makes them on its device."""
    is_on_device = bool(tf.config.list_physical_devices("GPU"))
    if options.augment_on != "auto":
        is_on_device = options.augment_on == "device"
    if not is_on_device:
        return "views"
    if not isinstance(train, sources.ArraySource) or options.strategy != "none":
        return "images"  # on several devices each would need a copy
    fits = train.images.nbytes <= min(options.cache_mb << 20, HELD_BYTES)
    return "draws" if fits and train.images.shape[1:3] == (load_size, load_size) else "images"


def _views(
    sends: str, train: sources.Source, augmentation: AugmentationSettings
) -> views.Views | None:
    if sends == "views":
        return None
    if sends == "images":
        return views.from_images(augmentation)
    with tf.device(main_device()):
        return views.from_draws(train, augmentation)


def _build_model(options, train, schedule, facts, make_views) -> AND:
    strategy = _strategy(options)
    replicas = strategy.num_replicas_in_sync
    last_batch = len(train) % options.batch_size
    if 0 < last_batch < replicas:
        # oneDNN's convolutions fail on a replica without images.
        raise ValueError(
            f"--batch_size={options.batch_size} leaves {last_batch} image(s) in the last "
            f"batch of {len(train)}, for {replicas} devices: choose another."
        )
    with strategy.scope():
        encoder = encoder_of(options, facts["mean"], facts["std"], replicas > 1)
        model = AND(
            encoder,
            num_samples=len(train),
            neighbourhood_size=options.neighbourhood_size,
            temperature=options.temperature,
            rate=options.bank_rate,
            seed=options.seed,
            logits_budget_mb=options.logits_mb,
        )
        optimizer = TorchSGD(
            schedule, momentum=options.momentum, nesterov=True, weight_decay=options.weight_decay
        )
        model.compile(
            optimizer=optimizer,
            jit_compile=_use_xla(options, replicas),
            steps_per_execution=_steps_per_execution(options, replicas),
            views=make_views,
        )
    return model


def _strategy(options: types.SimpleNamespace) -> tf.distribute.Strategy:
    if options.strategy == "none":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()  # XLA cannot compile what a strategy does
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _steps_per_execution(options: types.SimpleNamespace, replicas: int) -> int:
    if options.steps_per_execution:
        return options.steps_per_execution
    return 50 if tf.config.list_physical_devices("GPU") and replicas == 1 else 1


def _use_xla(options: types.SimpleNamespace, replicas: int) -> bool:
    """Whether to compile; says so where it decides."""
    if options.jit_compile != "auto":
        return options.jit_compile == "on"
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    choice = choose_xla(options.encoder, has_gpu, replicas)
    print(f"XLA {'on' if choice.is_on else 'off'}: {choice.reason}.")
    return choice.is_on
