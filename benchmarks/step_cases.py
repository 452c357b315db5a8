"""The TensorFlow cases of benchmarks/step.py: functions that do one training step."""

import argparse
import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import and_tf
from and_tf.bank.rows import read_rows
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss
from benchmarks.flops import gflop_per_image

SIDE, DIM = 32, 128


def bare_step(name: str, options: argparse.Namespace) -> Callable[[], object]:
    """The step as one would write it without Keras's loop, to which `fit` is compared."""
    model = _model(name, options)
    images, indices = (tf.constant(array) for array in _batch(options))

    @tf.function
    def step():
        neighbours = read_rows(model.neighbours.value, indices)  # (B, 1)
        is_anchor = read_rows(model.is_anchor.value, indices)  # (B,)
        with tf.GradientTape() as tape:
            embeddings = model.encoder(images, training=True)  # (B, D)
            losses = bank_loss(  # (B,)
                embeddings,
                model.bank.rows,
                indices,
                neighbours,
                is_anchor,
                model.bank.temperature,
                block_size=options.rows,
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.encoder.trainable_variables)
        model.optimizer.apply(gradients, model.encoder.trainable_variables)
        model.bank.update(indices, embeddings)
        return loss

    return lambda: step().numpy()


def fit_step(
    name: str, options: argparse.Namespace, jit_compile: bool = False, policy: str = "float32"
) -> "RunningFit":
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    model = _model(name, options, jit_compile)
    keras.mixed_precision.set_global_policy(before)
    # Batches of unknown size, as in training, where the last batch of an epoch may be smaller.
    batches = tf.data.Dataset.from_tensor_slices(_batch(options)).batch(options.batch)
    return RunningFit(model, batches.repeat(1 << 40))


class RunningFit:
    """A `fit` in its own thread, which does one step per call and waits in between.

    So no step includes the start of `fit`, which a real run spreads over all its steps.
    """

    def __init__(self, model: keras.Model, batches: tf.data.Dataset):
        self.model = model
        self._go, self._done, self.error = threading.Semaphore(0), threading.Semaphore(0), None
        callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs: self._go.acquire(),
            on_train_batch_end=lambda batch, logs: self._done.release(),
        )
        self._thread = threading.Thread(target=self._run, args=(batches, callback), daemon=True)
        self._thread.start()

    def _run(self, batches, callback):
        try:
            self.model.fit(batches, epochs=1 << 30, callbacks=[callback], verbose=0, shuffle=False)
        except Exception as error:  # raised by the waiting thread
            self.error = error
            self._done.release()

    def __call__(self) -> None:
        self._go.release()
        self._done.acquire()
        if self.error:
            raise self.error

    def end(self) -> None:
        """Ends `fit` after at most one more step; it may see the wish right after the last one."""
        self.model.stop_training = True
        self._go.release()
        self._thread.join()
        if self.error:
            raise self.error


def _model(name: str, options: argparse.Namespace, jit_compile: bool = False) -> and_tf.AND:
    """A model in the middle of training: half of the images are anchors."""
    encoder = and_tf.encoders.build_encoder(name, (SIDE, SIDE, 3), DIM, seed=0)
    model = and_tf.AND(encoder, num_samples=options.rows, seed=0)
    rng = np.random.default_rng(0)
    model.neighbours.assign(rng.integers(options.rows, size=(options.rows, 1)))
    model.is_anchor.assign(rng.random(options.rows) < 0.5)
    optimizer = and_tf.TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)
    return model


def _batch(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """(images (B, S, S, 3) float32 in 0..255, indices (B,) int64)."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (options.batch, SIDE, SIDE, 3)).astype(np.float32)
    return images, rng.permutation(options.rows)[: options.batch]


def product(name: str, options: argparse.Namespace) -> Callable[[], object]:
    """A matrix product of 2048 x 2048 x 2048 in float32, as a measure of the machine."""
    one, other = tf.random.normal((2048, 2048)), tf.random.normal((2048, 2048))
    return lambda: tf.matmul(one, other).numpy()


def gflop_of(name: str, rows: int) -> float:
    """GFLOP of a training step per image."""
    return gflop_per_image(and_tf.encoders.build_encoder(name, (SIDE, SIDE, 3), DIM), rows)
