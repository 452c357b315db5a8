"""When a run has its photos loaded by processes of their own."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.encoded import encoded, gradient

from and_tf.data.cache import cached
from and_tf.data.photo_processes import PhotoProcesses
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.workers import num_cores
from and_tf.training import fitting

PHOTOS = EncodedSource([encoded(gradient(50, 40))] * 3, "photos")
SMALL = cached(EncodedSource([encoded(gradient(8, 8))] * 3, "small"), 16)


def chosen(source, wanted, monkeypatch, has_gpu=False, local_size=1):
    monkeypatch.setattr(fitting, "has_gpu", lambda: has_gpu)
    settings = SimpleNamespace(
        augmentation=SimpleNamespace(image_size=16),
        devices=SimpleNamespace(input_processes=wanted),
    )
    workers = SimpleNamespace(local_size=local_size)
    experiment = SimpleNamespace(train=source, settings=settings, workers=workers)
    found = fitting.photo_processes(experiment)
    assert isinstance(found, PhotoProcesses | contextlib.nullcontext)
    return found.number if isinstance(found, PhotoProcesses) else 1


@pytest.mark.parametrize("wanted, has_gpu, number", [
    (0, False, 1), (0, True, max(num_cores(), 1)), (1, True, 1), (3, False, 3), (3, True, 3),
])  # fmt: skip
def test_there_are_as_many_as_asked_for_or_one_for_each_core_beside_a_gpu(
    wanted, has_gpu, number, monkeypatch
):
    assert chosen(PHOTOS, wanted, monkeypatch, has_gpu) == number
    assert chosen(cached(PHOTOS, 16), wanted, monkeypatch, has_gpu) == number


def test_processes_of_a_run_share_the_cores_of_their_machine(monkeypatch):
    monkeypatch.setattr(fitting, "num_cores", lambda: 16)
    assert chosen(PHOTOS, 0, monkeypatch, has_gpu=True, local_size=4) == 4
    assert chosen(PHOTOS, 0, monkeypatch, has_gpu=True, local_size=40) == 1


def test_images_that_are_trained_on_as_they_lie_in_memory_need_none(monkeypatch):
    assert np.asarray(SMALL.images).shape == (3, 16, 16, 3)
    assert chosen(SMALL, 4, monkeypatch, has_gpu=True) == 1
