"""The encoder that a run trains: by name, or from pretrained weights."""

import functools
import logging
from typing import Any

import keras
import numpy as np

from and_tf.encoders.build import build_encoder
from and_tf.encoders.pretrained.freezing import freeze
from and_tf.encoders.pretrained.matching import Loaded, leaf_layers, load_matching
from and_tf.encoders.pretrained.network import Network, as_encoder
from and_tf.encoders.pretrained.opening import open_network, own_size
from and_tf.errors import Argument, UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import ExperimentSettings

logger = logging.getLogger(__name__)

IN_FLOAT32 = ("normalise", "average", "fc", "embedding")  # layers, at every precision


def open_start(settings: ExperimentSettings, run: Workdir) -> Network | None:
    """Opens the weights that a new run starts from; None without any, or if it has a checkpoint.

    Raises:
        UserError: as in `open_pretrained`.
    """
    spec = settings.encoder.init
    if not spec or run.checkpoint.is_file() or run.previous_checkpoint.is_file():
        return None
    try:
        return open_network(spec, settings.augmentation.image_size)
    except UserError as error:
        raise type(error)(Argument("init", spec), ": ", *error.parts) from error


def size_of_start(spec: str) -> int:
    """The side, in pixels, of the images that the initial weights are meant for.

    Raises:
        UserError: as in `open_pretrained`.
    """
    try:
        size = own_size(spec)
    except UserError as error:
        raise type(error)(Argument("init", spec), ": ", *error.parts) from error
    logger.info("Images of %d pixels, the size of %s.", size, spec)
    return size


def normalisation(network: Network) -> dict[str, list[float]]:
    """Mean and std, in 0..255, by which one of our networks normalises; empty for others."""
    for layer in leaf_layers(network.model):
        if layer.name == "normalise" and isinstance(layer, keras.layers.Rescaling):
            scale, offset = layer.scale, layer.offset
            return {
                "mean": [-shift / factor for factor, shift in zip(scale, offset, strict=True)],
                "std": [1 / factor for factor in scale],
            }
    return {}


def run_encoder(
    settings: ExperimentSettings,
    run: Workdir,
    metadata: dict[str, Any],
    start: Network | None,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Builds the encoder of a run, new or continued, and freezes the requested parts.

    Args:
        settings: of the run; the global policy must be that of its precision.
        run: its folder.
        metadata: of run.json; `loaded_layers` is added if a new run starts from weights.
        start: from `open_start`.
        synchronized_batch_norm: whether BatchNorm statistics span all replicas.

    Raises:
        UserError: if none of the weights fit, a part to freeze does not exist, or nothing is left
            to train.
    """
    choice, size = settings.encoder, settings.augmentation.image_size
    if not choice.is_of_init:
        build = functools.partial(
            build_encoder,
            name=choice.encoder,
            input_shape=(size, size, 3),
            embedding_dim=choice.embedding_dim or 0,
            mean=metadata["mean"],
            std=metadata["std"],
            synchronized_batch_norm=synchronized_batch_norm,
            seed=settings.run.seed,
        )
        encoder = settings.method.build_encoder(build)
        loaded = None if start is None else load_matching(encoder, start.model)
    elif start is None:
        encoder, loaded = _adapted(run.read_network(), synchronized_batch_norm), None
    else:
        encoder, loaded = as_encoder(start, size, choice.embedding_dim, settings.run.seed)
        encoder = _adapted(encoder, synchronized_batch_norm)
    if loaded is not None:
        _check_and_log(settings, encoder, loaded)
        metadata["loaded_layers"] = loaded.loaded
    _freeze(settings, encoder)
    return encoder


def _adapted(encoder: keras.Model, synchronized_batch_norm: bool) -> keras.Model:
    """Adapts an encoder built in float32 for one device to the run's precision and devices."""
    policy = keras.config.dtype_policy().name
    if policy == "float32" and not synchronized_batch_norm:
        return encoder

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer) and layer.name not in IN_FLOAT32:
            config["dtype"] = policy
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = synchronized_batch_norm
        return type(layer).from_config(config)

    adapted = keras.models.clone_model(encoder, clone_function=clone)
    load_matching(adapted, encoder)
    return adapted


def _check_and_log(settings: ExperimentSettings, encoder: keras.Model, loaded: Loaded) -> None:
    spec = settings.encoder.init
    if not loaded.loaded:
        raise UserError(
            Argument("init", spec), f" has no layer whose name and shapes match those of one of "
            f"{encoder.name}: leave out ", Argument("encoder"), " to train its own network.",
        )  # fmt: skip
    logger.info("Start from %s: %s.", spec, loaded)


def _freeze(settings: ExperimentSettings, encoder: keras.Model) -> None:
    parts = settings.encoder.freeze
    if not parts:
        return
    frozen = freeze(encoder, parts)
    trained = sum(int(np.prod(variable.shape)) for variable in encoder.trainable_variables)
    logger.info(
        "Frozen: %d layers with weights; %s of %s parameters are trained.",
        len(frozen), f"{trained:,}", f"{encoder.count_params():,}",
    )  # fmt: skip
    if not encoder.trainable_variables and settings.method.plan.total_epochs:
        raise UserError(
            Argument("freeze", ",".join(parts)), " leaves nothing to train: freeze less, or pass ",
            Argument("rounds", 0), " and ", Argument("epochs_per_round", 0), ".",
        )  # fmt: skip
