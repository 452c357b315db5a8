"""How the devices of this machine share a batch, and which process writes."""

import tensorflow as tf

from and_tf.errors import Argument, UserError


def choose_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy in whose scope model and optimizer are built.

    Args:
        name: `none`; or `mirrored`, all GPUs of this machine, else its logical CPUs.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()  # XLA cannot compile what a strategy does
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def check_last_batch(num_samples: int, batch_size: int, replicas: int) -> None:
    """Refuses a last batch that leaves a replica without images: oneDNN's convolutions fail there.

    Raises:
        UserError: if so.
    """
    last_batch = num_samples % batch_size
    if 0 < last_batch < replicas:
        raise UserError(
            Argument("batch_size", batch_size), f" leaves {last_batch} image(s) in the last batch "
            f"of {num_samples}, for {replicas} devices: choose another.",
        )  # fmt: skip


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run's folder, its log and its progress bar: one does."""
    resolver = getattr(strategy, "cluster_resolver", None)
    return (
        resolver is None
        or resolver.task_type in (None, "chief")
        or (
            resolver.task_type == "worker"
            and "chief" not in resolver.cluster_spec().as_dict()
            and resolver.task_id == 0
        )
    )
