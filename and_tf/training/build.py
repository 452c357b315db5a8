"""The parts of a run, built from its settings and images; nothing is written here."""

import dataclasses
import platform
import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import in_processes
from and_tf.data import cache, statistics
from and_tf.data.augmentation import on_device
from and_tf.data.exchange import Sharing
from and_tf.data.manifest import Manifest, manifest
from and_tf.data.pipeline import steps_per_epoch
from and_tf.data.sources import opening
from and_tf.data.sources.source import Source
from and_tf.encoders.pretrained.network import Network
from and_tf.errors import Argument, BrokenImage, UserError
from and_tf.methods.method_model import MethodModel
from and_tf.methods.rounds import RoundPlan
from and_tf.methods.schedule import RoundSchedule
from and_tf.runs.workdir import Workdir
from and_tf.settings import of_result
from and_tf.training.encoder import normalisation, open_start, run_encoder
from and_tf.training.hardware import has_gpu, main_device, steps_per_execution
from and_tf.training.onednn import check_onednn, onednn
from and_tf.training.optimizers import TorchSGD
from and_tf.training.settings import ExperimentSettings
from and_tf.training.strategy import check_batch, check_last_batch
from and_tf.training.unchanged import check_unchanged, label_metadata
from and_tf.training.workers import Workers

HELD_BYTES = 2 << 30  # of images that a GPU holds: a quarter of the 8 GB that the smaller ones have


@dataclasses.dataclass
class Experiment:
    """The parts of a run.

    Attributes:
        settings: all that the run was asked for.
        run: its folder.
        train, held_out: images to train on, and to classify, or None.
        images: names, sizes and checksums of the training images.
        yields: what the pipeline yields, see `train_pipeline`.
        metadata: what run.json holds.
        schedule: learning rate by step.
        model: the method's, compiled.
        workers: what shares the work.
    """

    settings: ExperimentSettings
    run: Workdir
    train: Source
    held_out: Source | None
    images: Manifest
    yields: str
    metadata: dict[str, Any]
    schedule: RoundSchedule
    model: MethodModel
    workers: Workers

    @property
    def plan(self) -> RoundPlan:
        return self.settings.method.plan

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train), self.settings.optimizer.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run; none where the method does not train."""
        return total_steps(self.settings, len(self.train))

    @property
    def step(self) -> int:
        """Optimiser steps that were taken."""
        return int(self.model.optimizer.iterations.numpy())

    def origin(self) -> dict[str, Any] | None:
        """What its checkpoints are known by, see `Workdir.origin`; None where none are written."""
        if not self.run.can_write() or not self.run.flags.is_file():
            return None
        return self.run.origin(of_result(self.settings), self.images.content)

    def is_epoch_end(self) -> bool:
        return self.step % self.steps_per_epoch == 0


def total_steps(settings: ExperimentSettings, images: int) -> int:
    """Steps of a run of these settings on so many images."""
    method = settings.method
    steps = steps_per_epoch(images, settings.optimizer.batch_size)
    return steps * method.plan.total_epochs * method.trains


def start_devices(settings: ExperimentSettings) -> None:
    """Seeds, determinism and precision, before anything is built."""
    keras.utils.set_random_seed(settings.run.seed)
    if settings.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(settings.devices.precision)
    if settings.devices.precision != "float32":
        # Half precision is for the encoder: bank and softmax then get all 24 bits. In float32 a GPU
        # since Ampere rounds the factors of all products to 11 significant bits (TensorFloat-32),
        # as is TensorFlow's default.
        tf.config.experimental.enable_tensor_float_32_execution(False)


def build_experiment(
    settings: ExperimentSettings, run: Workdir, workers: Workers | None = None
) -> Experiment:
    """Opens the images, checks the settings against them, and builds model and optimiser.

    Args:
        settings: of the experiment; `devices.precision` is a Keras policy.
        run: the folder, whose metadata is used where the run has begun.
        workers: the devices or processes that share the work; None for this process alone.

    Raises:
        UserError: if settings and images do not fit, or the images have changed.
    """
    workers = workers or Workers(tf.distribute.get_strategy())
    is_begun = run.flags.is_file() and run.holds_state()
    if is_begun:
        check_onednn(run, settings.run.deterministic)
    try:
        train, held_out = _open_images(settings, run, is_begun, workers.sharing)
    except BrokenImage as error:
        raise possible_remedy(error, run) from error
    others = label_metadata(train, held_out, workers.sharing)
    workers.agree("images", {"number": len(train), "fingerprint": train.fingerprint} | others)
    images = manifest(train, workers.sharing)
    if is_begun:
        check_unchanged(run, train, images, others)
    size = settings.augmentation.image_size
    budget = settings.devices.cache_mb << 20
    train = cache.cached(train, size, budget, workers.sharing)
    if held_out is not None:
        held_out = cache.cached(held_out, size, budget, workers.sharing)
    start = open_start(settings, run)
    is_measured = is_begun and run.metadata.is_file()
    metadata = others | (
        run.read_metadata()
        if is_measured
        else _image_metadata(train, size, workers.sharing) | {"content": images.content}
    )
    if start is not None:
        metadata |= normalisation(start)  # of the weights, in place of that of the images
    if start is not None and workers.channel is not None:
        workers.agree("weights to start from", {"CRC-32": _checksum_of_weights(start.model)})
    yields = _yields(settings, train)
    schedule = _schedule(settings, len(train))
    model = _build_model(settings, run, train, metadata, start, workers.strategy)
    _compile(model, settings, metadata, schedule, _make_images(yields, train, settings))
    return Experiment(
        settings, run, train, held_out, images, yields, metadata, schedule, model, workers
    )


def possible_remedy(error: UserError, run: Workdir) -> UserError:
    """The error, where it is of an image with a remedy that is possible in this run.

    Of a run with a checkpoint no image may be repaired, removed or skipped: each is a row of the
    bank.
    """
    if not isinstance(error, BrokenImage) or not run.holds_state():
        return error
    return error.with_remedy(
        f"the run in {run.path} continues only with the images that it began with: restore them, "
        "or train in another ", Argument("workdir"), ", there with ", Argument("skip_broken", True),
        ".",
    )  # fmt: skip


def _open_images(
    settings: ExperimentSettings, run: Workdir, is_begun: bool, sharing: Sharing
) -> tuple[Source, Source | None]:
    data, batch_size = settings.data, settings.optimizer.batch_size
    train: Source
    held_out: Source | None
    if is_begun:
        known = run.read_metadata() if run.metadata.is_file() else {}
        train, held_out = opening.open_images_of_run(data, known, sharing)
    else:
        train, held_out = opening.open_train_and_held_out(data, sharing)
    if len(train) < batch_size:
        raise UserError(
            Argument("batch_size", batch_size), f" exceeds the number of images, {len(train)} from "
            f"{train.name}: lower it or add images.",
        )  # fmt: skip
    return train, held_out


def _checksum_of_weights(model: keras.Model) -> int:
    checksum = 0
    for weight in model.weights:
        checksum = zlib.crc32(np.ascontiguousarray(weight.numpy()).data, checksum)
    return checksum


def _image_metadata(train: Source, size: int, sharing: Sharing) -> dict[str, Any]:
    """What is measured once of the images, kept in the run."""
    mean, std = statistics.channel_statistics(train, size, sharing=sharing)
    return {
        "images": len(train),
        "fingerprint": train.fingerprint,
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "onednn": onednn(),
    }


def _yields(settings: ExperimentSettings, train: Source) -> str:
    """What the pipeline yields: augmented images, or that of which the step makes them."""
    devices = settings.devices
    is_on_device = has_gpu() if devices.augment_on == "auto" else devices.augment_on == "device"
    if not is_on_device:
        return "augmented"
    images = cache.whole_images(train, settings.augmentation.image_size)
    if images is None or devices.strategy != "none":
        return "images"  # on several devices each would need a copy
    return "noise" if images.nbytes <= min(devices.cache_mb << 20, HELD_BYTES) else "images"


def _make_images(
    yields: str, train: Source, settings: ExperimentSettings
) -> on_device.MakeImages | None:
    if yields == "augmented":
        return None
    images = cache.whole_images(train, settings.augmentation.image_size)
    if yields == "images" or images is None:
        return on_device.from_images(settings.augmentation)
    with tf.device(main_device()):
        return on_device.from_noise(images, settings.augmentation)


def _schedule(settings: ExperimentSettings, num_samples: int) -> RoundSchedule:
    optimizer = settings.optimizer
    return RoundSchedule(
        optimizer.learning_rate,
        optimizer.lr_policy,
        steps_per_epoch(num_samples, optimizer.batch_size),
        settings.method.plan,
    )


def _build_model(
    settings: ExperimentSettings,
    run: Workdir,
    train: Source,
    metadata: dict[str, Any],
    start: Network | None,
    strategy: tf.distribute.Strategy,
) -> MethodModel:
    replicas, batch_size = strategy.num_replicas_in_sync, settings.optimizer.batch_size
    is_even = in_processes(strategy)
    check_batch(batch_size, replicas, is_even)
    if settings.method.views > 1:  # clusters of views would count the copies of a small batch
        check_last_batch(len(train), batch_size, replicas, is_even)
    with strategy.scope():
        encoder = run_encoder(settings, run, metadata, start, synchronized_batch_norm=replicas > 1)
        return settings.method.build_model(encoder, train, settings.run.seed)


def _compile(
    model: MethodModel,
    settings: ExperimentSettings,
    metadata: dict[str, Any],
    schedule: RoundSchedule,
    make_images: on_device.MakeImages | None,
) -> None:
    optimizer, devices = settings.optimizer, settings.devices
    replicas = model.distribute_strategy.num_replicas_in_sync
    with model.distribute_strategy.scope():
        sgd = TorchSGD(
            schedule,
            momentum=optimizer.momentum,
            nesterov=True,
            weight_decay=optimizer.weight_decay,
        )
        for name in metadata.get("loaded_layers", []):
            layer = model.encoder.get_layer(name)
            sgd.scale_rate(layer.trainable_variables, settings.encoder.init_rate)
        model.compile(
            optimizer=sgd,
            jit_compile=devices.jit_compile == "on",
            steps_per_execution=steps_per_execution(devices.steps_per_execution, replicas),
            make_images=make_images,
        )
