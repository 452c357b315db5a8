"""Small models that a strategy trains, and what it keeps of them on each replica."""

import functools

import keras
import numpy as np

from and_tf.data.pipeline import steps_per_epoch, train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.options import BankOptions
from and_tf.training.optimizers import TorchSGD

D, BATCH, ROUNDS, EPOCHS = 4, 8, 2, 2
OPTIONS = {"views": 2, "group_weight": 0.5, "entropy_weight": 0.2}


def encoder(kind):
    """With a BatchNorm over all replicas, with one in inference mode, or without convolution."""
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    if kind != "dense":  # oneDNN's convolution gives an empty batch a wrong shape
        x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
        norm = keras.layers.BatchNormalization(synchronized=kind == "synchronized", name="norm")
        norm.trainable = kind == "synchronized"  # False is inference mode
        x = keras.layers.ReLU()(norm(x))
    x = keras.layers.Dense(D, name="fc")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def pixels(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), "uint8")


def build(strategy, count, kind, **options):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = AND(encoder(kind), count, neighbourhood_size=2, seed=0, **options)
        model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True, weight_decay=5e-4))
    return model


@functools.cache
def train(strategy, count, kind, has_options=False, **more):
    """A model after all rounds and its History; trained once for all tests."""
    model = build(strategy, count, kind, **(OPTIONS if has_options else {}) | more)
    augmentation = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    steps = model.optimizer.iterations
    data = train_pipeline(
        array_source(pixels(count)), BATCH, augmentation, seed=3, step=steps, views=model.views
    )
    callbacks = [NeighbourhoodCurriculum(ROUNDS, EPOCHS, labels=np.arange(count) % 3)]
    callbacks += BankOptions(model.views, model.group_weight, model.entropy_weight).callbacks(
        callbacks[0].plan, steps_per_epoch(count, BATCH)
    )
    epochs = (ROUNDS + 1) * EPOCHS
    history = model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, shuffle=False)
    return model, history.history


def copies(strategy, variable):
    """The value of a variable on each replica."""
    return [value.numpy() for value in strategy.experimental_local_results(variable.value)]
