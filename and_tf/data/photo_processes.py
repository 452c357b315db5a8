"""Processes that decode, crop and augment photos, where threads would wait for Python's lock.

A process receives the files and random numbers of part of a step's images, and writes the result
into memory that it shares with this process. The result equals that of this process's threads bit
for bit. Anything unusual, such as a broken image, a warning or a killed process, is left to these
threads, so that errors and warnings are handled in one place.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import queue
import signal
import threading
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from and_tf.data import reading, workers
from and_tf.data.augmentation.on_host import augment_crops
from and_tf.data.cache import CachedSource
from and_tf.data.large_images import most_pixels
from and_tf.data.pixels_in_flight import leave_larger
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.source import Source

logger = logging.getLogger(__name__)

PARTS = 2  # of a step per process, so that a part with large photos does not hold up the others


def crops_of_step(
    source: Source,
    indices: np.ndarray,
    noise: np.ndarray,
    settings: AugmentationSettings,
    is_augmented: bool,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The images of a step, for `augment_others`: photos are cropped, and augmented if requested.

    Args:
        source: with random access.
        indices: (B,) int.
        noise: (B, VALUES_PER_IMAGE) float32, or (B, V, VALUES_PER_IMAGE) for V views of each.
        settings: of the augmentation.
        is_augmented: whether photos are augmented as well as cropped.
        out: (B, S, S, 3) or (B, V, S, S, 3), takes the images; by default a new array.

    Returns:
        images: (B, S, S, 3) or (B, V, S, S, 3), float32 if augmented, else uint8.
        noise: as given, except that the crop of an image that is one already is the whole image.
    """
    images, rest = source.load_crops(indices, noise, settings)
    if is_augmented:
        return augment_crops(images, rest, settings, out), rest
    if out is not None:
        out[...] = images
    return images, rest


class PhotoProcesses:
    """Processes that load the images of a run's steps; they end with the context, or this process.

    Args:
        number: of processes.
    """

    def __init__(self, number: int):
        self.number = number
        self._layout: tuple = ()
        self._is_over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> PhotoProcesses:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the processes; steps requested later are loaded by threads."""
        self._is_over.set()
        if self._layout:
            self.processes.shutdown(wait=True, cancel_futures=True)
            self.waiting.shutdown(wait=False)

    def begin(
        self, batch_size: int, views: int, settings: AugmentationSettings, is_augmented: bool
    ) -> None:
        """Starts the processes, once.

        Args:
            batch_size: B, the most images of a step.
            views: V of each image.
            settings: of the augmentation.
            is_augmented: see `crops_of_step`.
        """
        layout = batch_size, views, settings, is_augmented
        if self._layout:
            if self._layout != layout:
                raise ValueError(f"The processes were started for {self._layout}, not {layout}.")
            return
        self.settings, self.is_augmented = settings, is_augmented
        self.rows = math.ceil(batch_size / (PARTS * self.number))  # of a part
        slots = (PARTS + 1) * self.number  # some are filled while others are copied
        side, dtype = settings.image_size, np.float32 if is_augmented else np.uint8
        shape = (slots, self.rows, views, side, side, 3)
        context = multiprocessing.get_context("spawn")  # a fork would copy TensorFlow's locks
        memory = context.RawArray("B", math.prod(shape) * dtype().itemsize)
        self.memory = np.frombuffer(memory, dtype).reshape(shape)
        self.free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(slots):
            self.free.put(slot)
        limits = Image.MAX_IMAGE_PIXELS, most_pixels() / self.number
        arguments = (memory, shape, dtype, settings, *limits)
        self.processes = ProcessPoolExecutor(self.number, context, _begin, arguments)
        self.waiting = ThreadPoolExecutor(slots, thread_name_prefix="photos")
        self._layout = layout  # last: if memory was lacking, there is nothing to end

    def load(
        self, source: Source, indices: np.ndarray, noise: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The images of a step and their remaining noise, as `crops_of_step` returns them."""
        side = self.settings.image_size
        images = np.empty((*noise.shape[:-1], side, side, 3), self.memory.dtype)
        rest = np.empty_like(noise)

        def fill(rows: slice) -> None:
            arguments = source, indices[rows], noise[rows]
            if not self._filled(*arguments, images[rows], rest[rows]):
                _, rest[rows] = crops_of_step(
                    *arguments, self.settings, self.is_augmented, images[rows]
                )

        starts = range(0, len(indices), self.rows)
        list(self.waiting.map(fill, [slice(start, start + self.rows) for start in starts]))
        return images, rest

    def _filled(
        self,
        source: Source,
        indices: np.ndarray,
        noise: np.ndarray,
        images: np.ndarray,
        rest: np.ndarray,
    ) -> bool:
        """Has a process fill a part of a step; returns whether it did."""
        files = _files(source, indices)
        if files is None or self._is_over.is_set():
            return False
        slot = self.free.get()
        try:
            found = self.processes.submit(_work, slot, files, noise).result()
            if found is None:
                return False
            rest[...] = found
            images[...] = self.memory[slot, : len(indices)].reshape(images.shape)
        except (BrokenProcessPool, CancelledError, RuntimeError) as error:  # killed, or closed
            self._give_up(error)
            return False
        finally:
            self.free.put(slot)
        return True

    def _give_up(self, error: Exception) -> None:
        with self._lock:  # threads of several parts may find out at once
            is_first = not self._is_over.is_set()
            self._is_over.set()
        if is_first and isinstance(error, BrokenProcessPool):
            logger.warning("A process that loads photos has ended (%s): threads take over.", error)


def _files(source: Source, indices: np.ndarray) -> EncodedSource | None:
    """The encoded images of a part of a step, and what is needed to load them."""
    source = source.source if isinstance(source, CachedSource) else source
    if not isinstance(source, EncodedSource):
        return None
    return replace(source, labels=None, class_names=None, names=None, broken=()).take(indices)


# In a process of its own:

_memory: np.ndarray
_settings: AugmentationSettings


def _begin(
    memory: Any,
    shape: tuple[int, ...],
    dtype: type,
    settings: AugmentationSettings,
    limit: int | None,
    largest: float,
) -> None:
    """Sets a process up: one thread, no retries, signals ignored, and an end with its parent.

    Args:
        memory, shape, dtype: of the slots.
        settings: of the augmentation.
        limit: Pillow's `MAX_IMAGE_PIXELS`.
        largest: the largest image, in pixels, that is decoded here.
    """
    global _memory, _settings
    Image.MAX_IMAGE_PIXELS = limit
    leave_larger(largest)
    _memory, _settings = np.frombuffer(memory, dtype).reshape(shape), settings
    workers.NUM_THREADS = 1
    reading.DELAYS_S = ()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):  # left to the training process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.getLogger().handlers[:] = [_heard]
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(0)


class _Heard(logging.Handler):
    """Records whether anything was logged."""

    was_called = False

    def emit(self, record: logging.LogRecord) -> None:
        self.was_called = True


_heard = _Heard(logging.WARNING)


def _work(slot: int, files: EncodedSource, noise: np.ndarray) -> np.ndarray | None:
    """Fills a slot with images and returns their noise; None to leave them to the threads."""
    _heard.was_called = False
    out = _memory[slot, : len(files)].reshape(*noise.shape[:-1], *_memory.shape[-3:])
    indices, is_augmented = np.arange(len(files)), out.dtype == np.float32
    try:
        _, rest = crops_of_step(files, indices, noise, _settings, is_augmented, out)
    except Exception:  # a broken image or a disk that is away: the threads will find the same
        return None
    return None if _heard.was_called else rest
