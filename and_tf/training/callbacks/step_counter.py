"""Counts steps and measures the speed of training on the host, without asking the device."""

import time

import keras


class StepCounter(keras.callbacks.Callback):
    """Counts the optimiser's steps, and adds `images_per_second` to an epoch's logs.

    Called before the callbacks that read `step`, and after the method's, whose work at the start of
    an epoch is not training. `fit` calls back once per execution, which may contain several steps,
    and passes the last step that a full execution would have had. Reading the optimiser's counter
    instead would wait for the device each time.

    Args:
        num_samples: images in an epoch.
        steps_per_epoch: optimiser steps of a whole epoch.
    """

    def __init__(self, num_samples: int, steps_per_epoch: int):
        super().__init__()
        self.num_samples, self.steps_per_epoch = num_samples, steps_per_epoch
        self.step = 0
        self._first_step = 0  # of this epoch, or of its rest if it is continued
        self._began = self._ended = 0.0

    @property
    def is_epoch_end(self) -> bool:
        return self.step % self.steps_per_epoch == 0

    def on_train_begin(self, logs=None):
        self.step = int(self.model.optimizer.iterations.numpy())

    def on_epoch_begin(self, epoch, logs=None):
        self._first_step, self._began = self.step, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._first_step + min(batch + 1, self.params["steps"])
        self._ended = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.step = int(self.model.optimizer.iterations.numpy())
        if logs is not None and self._ended > self._began:
            fraction = (self.step - self._first_step) / self.steps_per_epoch
            logs["images_per_second"] = fraction * self.num_samples / (self._ended - self._began)
