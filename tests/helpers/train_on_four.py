"""Trains on four logical devices, with a bank in parts: python -m helpers.train_on_four FILE.npz

A program of its own, for the collectives of two strategies in one process would collide.
"""

import pathlib
import sys

from helpers.replicated_training import train  # isort: skip  (sets what TensorFlow reads)
import tensorflow as tf

from and_tf.runs import checkpoint

if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    four = [tf.config.LogicalDeviceConfiguration()] * 4
    tf.config.set_logical_device_configuration(cpu, four)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(4)])
    model, history = train(strategy, 21, "dense", shard_bank=True)
    arrays = checkpoint.values(checkpoint.training_state(model))
    checkpoint.save(pathlib.Path(sys.argv[1]), arrays, {"loss": history["loss"]})
