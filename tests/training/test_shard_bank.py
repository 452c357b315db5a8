"""A bank split over replicas trains what a bank on each of them does."""

import functools
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cluster import environment
from helpers.replicated_training import BATCH, OPTIONS, D, build, copies, encoder, pixels, train

from and_tf.bank.memory_bank import MemoryBank
from and_tf.errors import StepNotFinite
from and_tf.methods.instance_model import InstanceModel
from and_tf.runs import checkpoint
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.system

TESTS = pathlib.Path(__file__).parents[1]
HERE = tf.distribute.get_strategy()


# The last batch has 5 images, 3 and 2; below, one of four devices gets none of them.
def test_it_trains_as_one_device_does(two_replicas):
    two, history_of_two = train(two_replicas, 21, "synchronized", True, shard_bank=True)
    one, history = train(HERE, 21, "synchronized", True)
    assert two.bank.is_sharded and not one.bank.is_sharded
    assert history.keys() == history_of_two.keys()
    for name, values in history.items():
        np.testing.assert_allclose(history_of_two[name], values, rtol=1e-5, err_msg=name)
    expected, found = checkpoint.training_state(one), checkpoint.training_state(two)
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"loss/0", "loss/1"}:  # sums over replicas are in the history
        np.testing.assert_allclose(
            found[name].numpy(), expected[name].numpy(), rtol=1e-5, atol=1e-5, err_msg=name
        )
        if name != "bank":
            np.testing.assert_array_equal(*copies(two_replicas, found[name]), err_msg=name)


@pytest.mark.parametrize(("make", "bank_dtype"), [("AND", "float32"), ("InstanceModel", "float16")])
def test_losses_and_gradients_are_those_of_the_bank_on_each(two_replicas, make, bank_dtype):
    results = []
    for shard_bank in (True, False):
        model = one_step_model(two_replicas, make, bank_dtype, shard_bank)
        images, indices = pixels(21)[:6].astype("float32"), np.array([20, 3, 7, 0, 11, 5])
        results.append(losses_and_gradients(two_replicas, model, images, indices))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def one_step_model(strategy, make, bank_dtype, shard_bank):
    settings = {"bank_dtype": bank_dtype, "shard_bank": shard_bank}
    if make == "AND":
        model = build(strategy, 21, "inference", **settings)
        model.neighbours.assign(np.random.default_rng(0).integers(21, size=(21, 2)))
        model.is_anchor.assign(np.arange(21) % 3 > 0)
        return model
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = InstanceModel(encoder("inference"), 21, seed=0, entropy_weight=0.3, **settings)
        model.compile(TorchSGD(0.05))
    return model


def losses_and_gradients(strategy, model, images, indices):
    """Losses (B,) of a step, and the gradients that the optimizer sums."""
    split = strategy.experimental_distribute_values_from_function

    def of_replica(values):
        return split(lambda context: tf.constant(values[context.replica_id_in_sync_group :: 2]))

    @tf.function
    def step(images, indices):
        def on_replica(images, indices):
            weights = tf.fill(tf.shape(indices), 1 / 6)
            losses, _, gradients = model.losses_and_gradients(images, indices, weights)
            context = tf.distribute.get_replica_context()
            return context.all_gather(losses, 0), context.all_reduce("SUM", gradients)

        return strategy.run(on_replica, args=(images, indices))

    losses, gradients = step(of_replica(images), of_replica(indices))
    return [strategy.experimental_local_results(value)[0].numpy() for value in [losses, *gradients]]


def test_what_a_step_exchanges_depends_on_the_batch_and_not_on_the_bank(two_replicas, monkeypatch):
    given = []
    for name, place in (("all_reduce", 1), ("all_gather", 0)):
        wrap_collective(monkeypatch, name, place, given)
    totals = [exchanged(two_replicas, count, given) for count in (21, 2100)]
    assert totals[0] == totals[1]
    parameters = 4 * build(HERE, 21, "dense").encoder.count_params()
    batch = 3
    # Both hold the batch's loss or bank update; what is as small as a few numbers is in neither.
    of_gathering = 2 * BATCH_BYTES * batch
    of_sums = 2 * 4 * 2 * batch * (1 + 1 + D)
    assert of_gathering + of_sums + parameters <= totals[0]
    assert totals[0] <= of_gathering + of_sums + parameters + SMALL


BATCH_BYTES, SMALL = 8 + 4 * D, 128  # an index and an embedding; sizes, flags, numbers of images


def wrap_collective(monkeypatch, name, place, given):
    """Notes the bytes that each replica gives to a collective of replica contexts."""
    real = getattr(tf.distribute.ReplicaContext, name)

    @functools.wraps(real)
    def counted(context, *args, **kwargs):
        if context.replica_id_in_sync_group == 0:
            given.extend(tensor.numpy().nbytes for tensor in tf.nest.flatten(args[place]))
        return real(context, *args, **kwargs)

    monkeypatch.setattr(tf.distribute.ReplicaContext, name, counted)


def exchanged(strategy, count, given):
    """Bytes that one replica gives in a step, run without a graph, but for the gradients."""
    model = build(strategy, count, "dense", shard_bank=True)
    images, indices = pixels(21)[:6].astype("float32"), np.array([20, 3, 7, 0, 11, 5])
    given.clear()
    of_replica = strategy.experimental_distribute_values_from_function
    batch = tuple(
        of_replica(lambda context, v=v: tf.constant(v[context.replica_id_in_sync_group :: 2]))
        for v in (images, indices)
    )
    strategy.run(model.train_step, args=(batch,))
    return sum(given)


@pytest.mark.parametrize("bank_dtype", ["float16"])
def test_a_checkpoint_does_not_depend_on_the_parts(two_replicas, tmp_path, bank_dtype):
    trained = build(two_replicas, 21, "dense", shard_bank=True, bank_dtype=bank_dtype)
    data = tf.data.Dataset.from_tensors((pixels(21)[:6].astype("float32"), np.arange(6)))
    trained.fit(data, verbose=0, shuffle=False)
    path, saved = tmp_path / "last.npz", checkpoint.values(checkpoint.training_state(trained))
    checkpoint.save(path, saved, {})
    assert saved["bank"].shape == (21, D) and saved["bank"].dtype == bank_dtype
    assert checkpoint.state_bytes({"bank": trained.bank.stored}) == saved["bank"].nbytes
    for strategy, is_sharded in ((HERE, False), (two_replicas, True), (two_replicas, False)):
        model = build(strategy, 21, "dense", shard_bank=is_sharded, bank_dtype=bank_dtype)
        state = checkpoint.training_state(model)
        checkpoint.restore(state, checkpoint.load(path)[0], path)
        again = checkpoint.values(state)
        assert again.keys() == saved.keys()
        for name in again.keys() - {"loss/0", "loss/1"}:
            assert again[name].tobytes() == saved[name].tobytes(), name


def test_four_devices_train_as_one_and_their_checkpoint_goes_on_with_two_or_one(
    two_replicas, tmp_path
):
    path = tmp_path / "last.npz"
    subprocess.run(
        [sys.executable, "-m", "helpers.train_on_four", path], cwd=TESTS, env=environment("{}"),
        check=True,
    )  # fmt: skip
    saved, metadata = checkpoint.load(path)
    one, history = train(HERE, 21, "dense")
    np.testing.assert_allclose(metadata["loss"], history["loss"], rtol=1e-5)
    for name, variable in checkpoint.training_state(one).items():
        if not name.startswith("loss/"):
            np.testing.assert_allclose(
                saved[name], variable.numpy(), rtol=1e-5, atol=1e-5, err_msg=name
            )
    for strategy, is_sharded in ((two_replicas, True), (HERE, False)):
        model = build(strategy, 21, "dense", shard_bank=is_sharded)
        checkpoint.restore(checkpoint.training_state(model), saved, path)
        assert model.bank.read_all().tobytes() == saved["bank"].tobytes()


def test_a_model_in_a_file_of_keras_has_all_rows(two_replicas, tmp_path):
    model = build(two_replicas, 21, "dense", shard_bank=True)
    model.save(tmp_path / "model.keras")
    alone = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(alone.bank, MemoryBank) and not alone.bank.is_sharded
    np.testing.assert_array_equal(alone.bank.read_all(), model.bank.read_all())
    with two_replicas.scope():
        again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.bank.is_sharded
    np.testing.assert_array_equal(again.bank.read_all(), model.bank.read_all())


def test_it_is_evaluated_as_one_device_is(two_replicas):
    found = []
    for strategy in (two_replicas, HERE):
        model = build(strategy, 17, "dense", shard_bank=True)
        images, indices = pixels(17).astype("float32"), np.arange(17)
        found.append(model.evaluate(images, indices, batch_size=BATCH, verbose=0))
        np.testing.assert_array_equal(
            model.image_embeddings(), MemoryBank(17, D, seed=0).rows.numpy()
        )  # that with which kNN compares
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_step_that_is_not_finite_on_one_replica_changes_nothing(two_replicas):
    model = build(two_replicas, 21, "dense", shard_bank=True)
    images = pixels(21)[:6].astype("float32")
    images[5, 0, 0, 0] = np.nan
    start = model.bank.read_all()
    with pytest.raises(StepNotFinite, match="step 1"):
        model.fit(tf.data.Dataset.from_tensors((images, np.arange(6))), verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.bank.read_all(), start)


def test_each_device_holds_its_part_only(two_replicas):
    sharded, whole = (
        build(two_replicas, 2100, "dense", shard_bank=is_sharded) for is_sharded in (True, False)
    )
    (part, *_), (rows, *_) = (
        two_replicas.experimental_local_results(variable)
        for variable in (sharded.bank.part, whole.bank.rows.value)
    )
    assert part.numpy().nbytes * 2 == rows.numpy().nbytes == 4 * 2100 * D
    assert "0.0 MB on each of 2 devices" in sharded.describe_memory(4)[0]
    assert set(OPTIONS) <= set(sharded.get_config()) and sharded.get_config()["shard_bank"]
