"""A pass over a batch of images, of which each replica of this process takes a part."""

from collections.abc import Callable

import tensorflow as tf

from and_tf.bank.collectives import local_devices
from and_tf.data.partition import share

Features = Callable[[tf.Tensor], list[tf.Tensor]]


def split_over_replicas(features_of: Features, strategy: tf.distribute.Strategy) -> Features:
    """A function of a batch that gives what `features_of` does, from its parts on the replicas.

    Args:
        features_of: from images (B, H, W, 3), at least one, to arrays (B, ...), each image by
            itself.
        strategy: in whose scope its variables were made.

    Returns:
        Function for a graph; `features_of` itself where the strategy has one device here.
    """
    devices = local_devices(strategy)
    if len(devices) < 2:
        return features_of

    def split(images: tf.Tensor) -> list[tf.Tensor]:
        bounds = [share(tf.shape(images)[0], n, len(devices)) for n in range(len(devices))]

        def part(context: tf.distribute.ReplicaContext) -> tf.Tensor:
            start, stop = bounds[context.replica_id_in_sync_group]
            with tf.device("CPU:0"):  # no device is sent the whole batch
                # Convolutions fail on no image: a part without any takes the next one, for nobody.
                return images[start : tf.maximum(stop, start + 1)]

        parts = strategy.experimental_distribute_values_from_function(part)
        return [join(found, bounds) for found in strategy.run(features_of, args=(parts,))]

    def join(found: tf.distribute.DistributedValues, bounds: list) -> tf.Tensor:
        of_each = strategy.experimental_local_results(found)
        with tf.device("CPU:0"):
            counted = [v[: stop - start] for v, (start, stop) in zip(of_each, bounds, strict=True)]
            return tf.concat(counted, axis=0)

    return split
