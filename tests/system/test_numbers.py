"""Numbers at the edge: zero embeddings, low temperatures, long runs, NaN, collapse."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import programs

import and_tf.training.fitting
from and_tf import encoders
from and_tf.bank.memory_bank import MemoryBank
from and_tf.cli.messages import set_up_logging
from and_tf.data import open_source
from and_tf.data.pipeline import batch_indices
from and_tf.data.settings import AugmentationSettings
from and_tf.encoders.layers import TorchLayers
from and_tf.errors import StepNotFinite
from and_tf.evaluation import weighted_knn
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.rounds import RoundPlan
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.search.neighbourhoods import discover
from and_tf.training.callbacks import Evaluation, StepCounter, evaluation
from and_tf.training.online_evaluation import Monitor
from and_tf.training.optimizers import TorchSGD
from and_tf.training.stopping import StopRequest

pytestmark = pytest.mark.usefixtures("no_exports", "thin_resnet")

TEMPERATURES = [0.005, 0.07, 1.0]
TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=8",
    "--train_split=train[:64]", "--eval_split=test[:32]", "--rounds=0", "--epochs_per_round=2",
    "--batch_size=16", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=0",
]  # fmt: skip


def unit_rows(count, dim, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def both_losses(embeddings, rows, temperature):
    """Losses (B,) of anchors with one neighbour each, at once and in blocks."""
    indices = np.arange(embeddings.shape[0])
    near, is_anchor = (indices[:, None] + 1) % len(rows), np.ones(len(indices), bool)
    logits = tf.matmul(embeddings, rows, transpose_b=True) / temperature
    yield neighbourhood_loss(logits, indices, near.astype("int32"), is_anchor)
    yield bank_loss(embeddings, rows, indices, near, is_anchor, temperature, 7)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_of_a_zero_embedding_is_finite(which, temperature):
    inputs = keras.Input((4,))
    head = keras.Model(inputs, TorchLayers(seed=0).embedding(inputs, embedding_dim=6))
    head.get_layer("fc").bias.assign(np.zeros(6))
    batch = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    batch[1] = 0  # without a bias its embedding is zero before it is normalised
    with tf.GradientTape() as tape:
        embeddings = head(batch)
        loss = tf.reduce_sum(list(both_losses(embeddings, unit_rows(20, 6), temperature))[which])
    np.testing.assert_array_equal(embeddings[1], 0)
    gradients = tape.gradient(loss, head.trainable_variables)
    assert np.isfinite(loss) and all(np.isfinite(g).all() for g in gradients)
    assert np.isfinite(tf.linalg.global_norm(gradients))  # what a step is stopped by


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_low_temperatures_give_finite_losses_and_gradients(temperature):
    rows = unit_rows(40, 6)
    queries = tf.constant(np.concatenate([rows[:5], -rows[5:10]]))  # on their rows, and opposite
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(queries)
        found = list(both_losses(queries, rows, temperature))
    for losses in found:
        rounding = 2.0**-23 / temperature  # of the largest logit, 1 / temperature
        assert np.isfinite(losses).all() and np.min(losses) >= -max(1e-5, 2 * rounding)
        assert np.isfinite(tape.gradient(losses, queries)).all()
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_low_temperatures_give_finite_entropies_and_votes(temperature):
    rows = np.concatenate([unit_rows(30, 6), unit_rows(10, 6)])  # ten exact copies
    entropy = discover(rows, 3, temperature).entropy
    assert np.isfinite(entropy).all() and entropy.min() >= 0
    scores = weighted_knn(rows, np.arange(40) % 4, rows, k=40, temperature=temperature)
    assert np.isfinite(scores).all() and (scores.max(axis=1) > 0).all()


@pytest.mark.parametrize(("num_rows", "batch"), [(1000, 100), (1, 1)])
def test_bank_rows_keep_unit_length_over_100000_updates(num_rows, batch):
    bank = MemoryBank(num_rows, 32, rate=0.5, seed=0)

    @tf.function
    def update(steps):
        for step in tf.range(steps):
            seed = tf.stack([step, 0])
            indices = tf.random.experimental.index_shuffle(
                tf.range(batch) + step * batch % num_rows, [0, step * batch // num_rows],
                num_rows - 1,
            )  # fmt: skip
            drawn = tf.random.stateless_normal((batch, 32), seed)
            bank.update(indices, tf.math.l2_normalize(drawn, axis=1))

    update(tf.constant(100_000 // batch))
    lengths = np.linalg.norm(bank.rows.numpy().astype("float64"), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_a_batch_with_nan_changes_neither_weights_nor_bank():
    model = AND(
        encoders.build_encoder("resnet_small", (16, 16, 3), 8, seed=0), num_samples=32, seed=0
    )
    model.compile(TorchSGD(0.1, momentum=0.9))
    trained = [*model.encoder.trainable_variables, model.bank.rows, *model.optimizer.variables]
    before = [variable.numpy() for variable in trained]
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    images[3, 5, 5, 0] = np.nan
    with pytest.raises(StepNotFinite):
        model.fit(images, np.arange(8), batch_size=8, verbose=0)
    for variable, value in zip(trained, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def stopped(flags, run, capsys):
    """The one line of a training run that must stop; what it leaves must be finite."""
    capsys.readouterr()
    assert programs.train([*TINY, *flags, f"--workdir={run}"]) == 2
    *messages, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("train.py: ") and not any("Traceback" in m for m in messages)
    for path in run.glob("**/*.npz"):
        if path.name != "images.npz":
            arrays, _ = checkpoint.load(path)
            assert all(np.isfinite(array).all() for array in arrays.values()), path
    text = (run / "metrics.jsonl").read_text()
    records = [json.loads(record) for record in text.splitlines()]
    assert all(np.isfinite(list(record.values())).all() for record in records)
    return line, records


def test_a_nan_batch_stops_the_run_in_its_step_and_the_run_can_go_on(tmp_path, capsys, monkeypatch):
    bad_step = 6
    plain, images = (
        and_tf.training.fitting.train_pipeline,
        batch_indices(64, 16, 0, bad_step).numpy(),
    )

    def with_nan(*args, **settings):
        def spoil(batch, indices):
            return batch * tf.where(indices[0] == images[0], np.nan, 1.0), indices

        return plain(*args, **settings).map(spoil)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(and_tf.training.fitting, "train_pipeline", with_nan)
        line, records = stopped(["--checkpoint_steps=1"], run, capsys)
    assert f"in step {bad_step + 1}, images {', '.join(map(str, images))}:" in line
    _, metadata, path = Workdir(run).load_checkpoint()
    assert metadata["step"] == bad_step and path.name == "last.npz"
    assert [record["step"] for record in records] == [4] * (bad_step > 4)
    assert programs.train([*TINY, "--checkpoint_steps=1", f"--workdir={run}"]) == 0
    assert {record["step"] for record in Workdir(run).read_metrics()} == {4, 8}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--learning_rate=1e37"], ["in step 2, images ", "--learning_rate=1e+37"]),
        (["--learning_rate=1e30", "--batch_size=64"], ["after step 1", "images 0 to 63", "rate"]),
        (["--temperature=1e-30"], ["in step 1, images ", "--temperature=1e-30"]),
        (["--temperature=1e-46"], ["in step 1, images ", "--temperature=1e-46"]),
    ],
)
def test_numbers_that_explode_stop_the_run_within_a_step(tmp_path, capsys, flags, words):
    flags = ["--eval_every=1", *flags]
    line, records = stopped(flags, tmp_path / "run", capsys)
    assert all(word in line for word in words), line
    assert records == []


def warnings_of(model, source, capsys, step, times=1):
    """What an evaluation at a step says on stderr."""
    monitor = Monitor(source, None, AugmentationSettings(image_size=16))
    counter = StepCounter(len(source), 1)
    callback = Evaluation(monitor, RoundPlan(0, 100), 1, counter, StopRequest(), None)
    callback.set_model(model)
    counter.step = step
    set_up_logging()
    capsys.readouterr()
    for _ in range(times):
        logs = {}
        callback.on_epoch_end(0, logs)
        assert np.isfinite(list(logs.values())).all()
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def digits():
    return open_source("digits", "train[:300]")


def model_of(seed=0):
    model = AND(encoders.build_encoder("resnet_small", (16, 16, 3), 8, seed=seed), 300, seed=seed)
    model.compile(TorchSGD(0.03, momentum=0.9))
    return model


@pytest.mark.parametrize("equal", ["exactly", "almost"])
def test_a_collapse_is_warned_of_once(digits, capsys, equal):
    model = model_of()
    head = model.encoder.get_layer("fc")
    head.kernel.assign(head.kernel * (0 if equal == "exactly" else 1e-3))
    head.bias.assign(np.ones(8))
    said = warnings_of(model, digits, capsys, step=evaluation.SETTLED, times=2)
    assert said.startswith("Warning: all embeddings are almost equal (uniformity -0.0")
    assert said.count("Warning") == 1 and "Lower the learning rate" in said
    # BatchNorm's averages are still far off then, which looks the same.
    assert warnings_of(model, digits, capsys, step=evaluation.SETTLED - 1) == ""


def test_a_normal_run_is_not_said_to_have_collapsed(tmp_path, capsys):
    flags = [*TINY, "--train_split=train[:300]", "--batch_size=32", "--epochs_per_round=8"]
    assert programs.train([*flags, "--eval_every=1", f"--workdir={tmp_path / 'run'}"]) == 0
    steps = [r["step"] for r in Workdir(tmp_path / "run").read_metrics() if "uniformity" in r]
    assert max(steps) > evaluation.SETTLED
    assert "collapsed" not in capsys.readouterr().err
