"""How a batch is shared by devices."""

import pytest
import tensorflow as tf

from and_tf.errors import UserError
from and_tf.training.strategy import check_batch, check_last_batch, choose_strategy


def test_mirrored_takes_all_devices_and_none_the_default(monkeypatch):
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", tuple)  # collectives are for one alone
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    assert choose_strategy("mirrored") == tuple(device.name for device in devices)
    assert choose_strategy("none") is tf.distribute.get_strategy()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices[:1])
    assert choose_strategy("mirrored") is tf.distribute.get_strategy()


@pytest.mark.parametrize(
    ("batch_size", "replicas", "is_even"),
    [(20, 8, False), (100, 16, False), (3, 4, False), (3, 4, True)],
)  # fmt: skip
def test_a_batch_size_that_leaves_a_device_without_images_is_refused(batch_size, replicas, is_even):
    with pytest.raises(UserError, match=rf"batch_size={batch_size} .* a multiple of {replicas}"):
        check_batch(batch_size, replicas, is_even)
    check_batch(batch_size - batch_size % replicas or replicas, replicas, is_even)


@pytest.mark.parametrize(("images", "replicas"), [(65, 2), (66, 3), (129, 4), (69, 4)])
def test_a_last_batch_that_leaves_a_device_without_images_is_refused(images, replicas):
    with pytest.raises(UserError, match=r"batch_size=64 leaves [125] image"):
        check_last_batch(images, 64, replicas)


@pytest.mark.parametrize(("images", "replicas"), [(64, 2), (66, 2), (65, 1), (128, 4)])
def test_other_last_batches_are_taken(images, replicas):
    check_last_batch(images, 64, replicas)


def test_an_even_cut_leaves_nobody_without_images_but_of_too_few():
    check_last_batch(69, 64, 4, is_even=True)
    with pytest.raises(UserError, match="leaves 3 image"):
        check_last_batch(67, 64, 4, is_even=True)
