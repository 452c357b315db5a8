"""Splits a batch of images over the replicas of this process."""

from collections.abc import Callable

import tensorflow as tf

from and_tf.bank.collectives import local_devices
from and_tf.data.partition import share

Features = Callable[[tf.Tensor], list[tf.Tensor]]


def split_over_replicas(features_of: Features, strategy: tf.distribute.Strategy) -> Features:
    """A function with the result of `features_of`, computed in parts on the replicas.

    Args:
        features_of: maps images (B, H, W, 3), at least one, to arrays (B, ...), each image
            independently.
        strategy: the one in whose scope its variables were made.

    Returns:
        Function for a graph; `features_of` itself if the strategy has one device in this process.
    """
    devices = local_devices(strategy)
    if len(devices) < 2:
        return features_of

    def split(images: tf.Tensor) -> list[tf.Tensor]:
        bounds = [share(tf.shape(images)[0], n, len(devices)) for n in range(len(devices))]

        def part(context: tf.distribute.ReplicaContext) -> tf.Tensor:
            start, stop = bounds[context.replica_id_in_sync_group]
            with tf.device("CPU:0"):  # so that the whole batch is not sent to a device
                # Convolutions fail without images: an empty part takes one, and drops its result.
                return images[start : tf.maximum(stop, start + 1)]

        parts = strategy.experimental_distribute_values_from_function(part)
        return [join(found, bounds) for found in strategy.run(features_of, args=(parts,))]

    def join(found: tf.distribute.DistributedValues, bounds: list) -> tf.Tensor:
        of_each = strategy.experimental_local_results(found)
        with tf.device("CPU:0"):
            counted = [v[: stop - start] for v, (start, stop) in zip(of_each, bounds, strict=True)]
            return tf.concat(counted, axis=0)

    return split
