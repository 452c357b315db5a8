"""Two replicas train what one device trains: losses, weights, bank and neighbourhoods."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.replicated_training import BATCH, build, copies, encoder, pixels, train

from and_tf.errors import StepNotFinite, UserError
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.runs import checkpoint
from and_tf.training.loop import run_by
from and_tf.training.optimizers import TorchSGD
from and_tf.training.settings import experiment_settings
from and_tf.training.workers import Workers

pytestmark = pytest.mark.system


# 21 images end in a batch of 5, split as 3 and 2; 17 in one of 1 image, with an empty replica.
@pytest.mark.parametrize(
    "count, kind, has_options",
    [
        (21, "inference", False),
        (21, "synchronized", True),
        (17, "dense", True),
    ],
)
def test_two_replicas_train_as_one_device(two_replicas, count, kind, has_options):
    two, history_of_two = train(two_replicas, count, kind, has_options)
    one, history = train(tf.distribute.get_strategy(), count, kind, has_options)
    assert history.keys() == history_of_two.keys()
    for name, values in history.items():
        np.testing.assert_allclose(history_of_two[name], values, rtol=1e-5, err_msg=name)
    assert history["anchors"][-1] == count
    assert int(two.optimizer.iterations.numpy()) == int(one.optimizer.iterations.numpy())
    expected = checkpoint.training_state(one)
    for name, variable in checkpoint.training_state(two).items():
        if name.startswith("loss/"):
            continue  # sums over replicas are in the history
        first, second = copies(two_replicas, variable)
        np.testing.assert_array_equal(first, second, err_msg=name)
        np.testing.assert_allclose(
            first, expected[name].numpy(), rtol=1e-5, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("bank_dtype", ["float32", "float16"])
def test_each_replica_updates_the_rows_of_both(two_replicas, bank_dtype):
    model = build(two_replicas, 21, kind="synchronized", bank_dtype=bank_dtype)
    start = model.bank.rows.numpy()
    images, indices = pixels(21)[:6].astype("float32"), np.array([20, 3, 7, 0, 11, 5])
    data = tf.data.Dataset.from_tensors((images, indices))
    model.fit(data, verbose=0, shuffle=False)
    first, second = copies(two_replicas, model.bank.rows)
    np.testing.assert_array_equal(first, second)
    changed = np.flatnonzero((first != start).any(axis=1))
    assert changed.tolist() == sorted(indices) and first.dtype == bank_dtype


def test_a_checkpoint_of_two_replicas_is_restored_on_both_and_on_one(two_replicas, tmp_path):
    path = tmp_path / "last.npz"
    trained, _ = train(two_replicas, 21, kind="synchronized")
    saved = {k: v.numpy() for k, v in checkpoint.training_state(trained).items()}
    checkpoint.save(path, checkpoint.training_state(trained), {})
    for where in (two_replicas, tf.distribute.get_strategy()):
        state = checkpoint.training_state(build(where, 21, kind="synchronized"))
        checkpoint.restore(state, checkpoint.load(path)[0], path)
        for name, variable in state.items():
            if name.startswith("loss/"):
                continue
            for copy in copies(where, variable):
                np.testing.assert_array_equal(copy, saved[name], err_msg=name)


def test_compiling_on_several_replicas_is_refused(two_replicas):
    with two_replicas.scope():
        model = AND(encoder("dense"), 21)
        with pytest.raises(ValueError, match="jit_compile works only without a strategy"):
            model.compile(TorchSGD(0.1), jit_compile=True)


def test_compiling_in_a_run_is_refused_before_anything_is_read(two_replicas, tmp_path):
    flags = {"jit_compile": "on", "data": "npz:missing.npz", "workdir": str(tmp_path / "run")}
    with pytest.raises(UserError, match="jit_compile works only without a strategy"):
        run_by(Workers(two_replicas), experiment_settings(flags), lambda *others: None)
    assert not any(tmp_path.iterdir())


def test_a_step_that_is_not_finite_on_one_replica_stops_both(two_replicas):
    model = build(two_replicas, 21, kind="synchronized")
    images = pixels(21)[:6].astype("float32")
    images[5, 0, 0, 0] = np.nan  # the second replica's
    start = model.bank.rows.numpy()
    data = tf.data.Dataset.from_tensors((images, np.arange(6)))
    with pytest.raises(StepNotFinite, match="step 1"):
        model.fit(data, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.bank.rows.numpy(), start)


@pytest.mark.parametrize("steps", ["fit", "evaluate"])
def test_two_replicas_refuse_an_index_that_is_no_row(two_replicas, steps):
    model = build(two_replicas, 17, "dense")
    data = tf.data.Dataset.from_tensor_slices((pixels(17).astype("float32"), np.arange(1, 18)))
    with pytest.raises(UserError, match="Index 17 of a batch is not that"):
        getattr(model, steps)(data.batch(BATCH), verbose=0)
    assert int(model.optimizer.iterations.numpy()) == (2 if steps == "fit" else 0)


def test_two_replicas_evaluate_as_one_device(two_replicas):
    images, labels = pixels(17).astype("float32"), np.arange(17) % 3
    results = []
    for strategy in (two_replicas, tf.distribute.get_strategy()):
        model = build(strategy, 17, "dense")
        loss = model.evaluate(images, np.arange(17), batch_size=BATCH, return_dict=True, verbose=0)
        with strategy.scope():
            model.compile(TorchSGD(0.05), train_labels=labels)
        knn = model.evaluate(images, labels, batch_size=BATCH, return_dict=True, verbose=0)
        results.append(loss | knn)
    assert results[0] == pytest.approx(results[1], rel=1e-5)
    assert set(results[0]) == {"loss", "knn_top1_bank"}
