"""Which process writes, and how a batch is shared."""

import pytest
import tensorflow as tf

from and_tf.errors import UserError
from and_tf.training.strategy import check_last_batch, choose_strategy, is_chief

WORKERS = {"worker": ["a:1", "b:1"]}
WITH_CHIEF = WORKERS | {"chief": ["c:1"]}


def test_a_process_alone_is_the_chief(two_replicas):
    assert is_chief(tf.distribute.get_strategy()) and is_chief(two_replicas)


@pytest.mark.parametrize(
    ("cluster", "task", "number", "expected"),
    [
        (WITH_CHIEF, "chief", 0, True),
        (WITH_CHIEF, "worker", 0, False),
        (WITH_CHIEF, "worker", 1, False),
        (WORKERS, "worker", 0, True),
        (WORKERS, "worker", 1, False),
        (WORKERS | {"evaluator": ["e:1"]}, "evaluator", 0, False),
    ],
)
def test_one_process_of_a_cluster_is_the_chief(cluster, task, number, expected):
    class Strategy:  # a real one would wait for its cluster
        cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster), task_type=task, task_id=number
        )

    assert is_chief(Strategy()) is expected


def test_mirrored_takes_all_devices_and_none_the_default(monkeypatch):
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", tuple)  # collectives are for one alone
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    assert choose_strategy("mirrored") == tuple(device.name for device in devices)
    assert choose_strategy("none") is tf.distribute.get_strategy()
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices[:1])
    assert choose_strategy("mirrored") is tf.distribute.get_strategy()


@pytest.mark.parametrize(("images", "replicas"), [(65, 2), (66, 3), (129, 4)])
def test_a_last_batch_that_leaves_a_device_without_images_is_refused(images, replicas):
    with pytest.raises(UserError, match=r"batch_size=64 leaves [12] image"):
        check_last_batch(images, 64, replicas)


@pytest.mark.parametrize(("images", "replicas"), [(64, 2), (66, 2), (65, 1), (128, 4)])
def test_other_last_batches_are_taken(images, replicas):
    check_last_batch(images, 64, replicas)
