"""The model against a loop over images, variables and rows that follows the paper."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import and_tf.bank.softmax
from and_tf.errors import StepNotFinite
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.training.optimizers import TorchSGD

N, D, BATCH, TAU, RATE = 22, 5, 8, 0.2, 0.4  # the last batch of an epoch has 6 images
LR, MOMENTUM, DECAY = 0.05, 0.9, 1e-2


def tiny_encoder(batch_norm=False):
    x = images = keras.Input((4, 4, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1, dtype="float32")(x)
    x = keras.layers.Conv2D(6, 3)(x)
    if batch_norm:
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(keras.layers.ReLU()(x))
    x = keras.layers.Dense(D, dtype="float32")(x)
    return keras.Model(images, keras.layers.UnitNormalization(dtype="float32")(x))


def twin(encoder):
    """An encoder with the same weights that shares none of them."""
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    return copy


def optimizer():
    return TorchSGD(LR, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY)


def compiled(encoder, k=2, neighbours=True, jit_compile=False, steps_per_execution=1, **settings):
    model = AND(encoder, N, neighbourhood_size=k, temperature=TAU, rate=RATE, seed=3, **settings)
    if neighbours:
        rng = np.random.default_rng(0)
        others = [rng.permutation(np.delete(np.arange(N), i))[:k] for i in range(N)]
        model.neighbours.assign(np.array(others, "int32"))
        model.is_anchor.assign(rng.random(N) < 0.5)
    model.compile(optimizer(), jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    return model


def batches(epochs=1):
    """Every image once an epoch, as a list of (images, indices) that ends in a smaller batch."""
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (N, 4, 4, 3)).astype("float32")
    orders = [rng.permutation(N) for _ in range(epochs)]
    parts = [order[start : start + BATCH] for order in orders for start in range(0, N, BATCH)]
    return [(images[part], part.astype("int64")) for part in parts]


def dataset(steps):
    """Batches of unknown size, as the training pipeline gives them."""
    signature = (tf.TensorSpec((None, 4, 4, 3), tf.float32), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(lambda: iter(steps), output_signature=signature)
    return data.apply(tf.data.experimental.assert_cardinality(len(steps)))


def naive_training(model, encoder, steps):
    """Loss per image of each step, the bank and the encoder's weights in the end."""
    rows, neighbours, is_anchor = (
        v.numpy() for v in (model.bank.rows, model.neighbours, model.is_anchor)
    )
    momenta = [np.zeros(v.shape, "float32") for v in encoder.trainable_variables]
    all_losses = []
    for images, indices in steps:
        with tf.GradientTape() as tape:
            embeddings = encoder(images, training=True)
            losses = []
            for x, i in zip(tf.unstack(embeddings), indices, strict=True):
                terms = tf.exp(tf.linalg.matvec(rows, x) / TAU)
                positive = [i, *neighbours[i]] if is_anchor[i] else [i]
                losses.append(-tf.math.log(sum(terms[j] for j in positive) / tf.reduce_sum(terms)))
            loss = sum(losses) / len(losses)
        gradients = tape.gradient(loss, encoder.trainable_variables)
        for place, variable in enumerate(encoder.trainable_variables):
            d = gradients[place].numpy() + DECAY * variable.numpy()
            momenta[place] = MOMENTUM * momenta[place] + d
            variable.assign(variable.numpy() - LR * (d + MOMENTUM * momenta[place]))
        for x, i in zip(embeddings.numpy(), indices, strict=True):
            row = (1 - RATE) * rows[i] + RATE * x
            rows[i] = row / np.linalg.norm(row)
        all_losses.append([float(loss) for loss in losses])
    return all_losses, rows


def assert_equal_training(model, encoder, steps, tolerance=1e-5):
    """Trains `model` by `fit` and `encoder`, of the same weights, by the loop, and compares."""
    losses, rows = naive_training(model, encoder, steps)
    history = model.fit(dataset(steps), verbose=0).history
    np.testing.assert_allclose(history["loss"], [np.mean(sum(losses, []))], rtol=tolerance)
    np.testing.assert_allclose(model.bank.rows.numpy(), rows, atol=tolerance)
    for ours, naive in zip(model.encoder.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_allclose(ours, naive, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("budget", [256, 0])
def test_training_equals_a_loop_over_the_images(monkeypatch, k, jit_compile, budget):
    monkeypatch.setattr(and_tf.bank.softmax, "BANK_BLOCK", 7)
    encoder = tiny_encoder()
    model = compiled(encoder, k, jit_compile=jit_compile, logits_budget_mb=budget)
    assert_equal_training(model, twin(encoder), batches(epochs=2))


def test_training_with_batch_norm_moves_its_averages_once_a_step():
    encoder = tiny_encoder(batch_norm=True)
    copy = twin(encoder)
    assert_equal_training(compiled(encoder), copy, batches())
    assert np.abs(copy.layers[3].moving_mean.numpy()).max() > 0


def test_without_neighbours_every_image_is_a_class_of_its_own():
    encoder = tiny_encoder()
    model = compiled(encoder, neighbours=False)
    assert int(model.round.numpy()) == 0 and not model.is_anchor.numpy().any()
    assert_equal_training(model, twin(encoder), batches())


def test_all_other_images_may_be_neighbours():
    encoder = tiny_encoder()
    model = compiled(encoder, k=N - 1)
    assert_equal_training(model, twin(encoder), batches())


def test_train_step_leaves_curriculum_and_rows_of_other_images_alone():
    model = compiled(tiny_encoder())
    kept = (model.neighbours, model.is_anchor, model.entropy, model.round)
    before, rows = [v.numpy() for v in kept], model.bank.rows.numpy()
    images, indices = batches()[0]
    model.fit(dataset([(images, indices)]), verbose=0)
    for old, variable in zip(before, kept, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    changed = np.flatnonzero((model.bank.rows.numpy() != rows).any(axis=1))
    assert changed.tolist() == sorted(indices.tolist())


def test_each_epoch_logs_its_own_mean_loss():
    encoder = tiny_encoder()
    model = compiled(encoder)
    steps = batches(epochs=2)
    losses, _ = naive_training(model, twin(encoder), steps)
    upcoming = iter([steps[:3], steps[3:]])
    signature = (tf.TensorSpec((None, 4, 4, 3), tf.float32), tf.TensorSpec((None,), tf.int64))
    data = tf.data.Dataset.from_generator(lambda: iter(next(upcoming)), output_signature=signature)
    history = model.fit(data, epochs=2, verbose=0).history
    expected = [np.mean(sum(losses[:3], [])), np.mean(sum(losses[3:], []))]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("steps_per_execution", "jit_compile"), [(1, False), (2, False), (2, True)]
)
def test_the_end_of_data_of_unknown_length_is_not_a_step(steps_per_execution, jit_compile):
    def slow_to_end():
        yield from batches()
        time.sleep(0.5)  # the step that runs into the end waits for its data

    signature = dataset(batches()).element_spec
    model = compiled(
        tiny_encoder(), jit_compile=jit_compile, steps_per_execution=steps_per_execution
    )
    data = tf.data.Dataset.from_generator(slow_to_end, output_signature=signature)
    model.fit(data, epochs=2, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 6


def test_all_but_the_writing_of_the_bank_is_compiled():
    model = compiled(tiny_encoder(), jit_compile=True)
    (images, indices), *_ = batches()
    function = model._compiled_step.get_concrete_function(tf.constant(images), tf.constant(indices))
    types = {op.type for op in function.graph.get_operations()}
    assert "AssignSubVariableOp" in types and not {name for name in types if "Scatter" in name}
    assert function.function_def.attr["_XlaMustCompile"].b
    assert model.jit_compile is False
    # A loop or branch that is left would make a GPU ask the host in each step.
    text = model._compiled_step.experimental_get_compiler_ir(
        tf.constant(images), tf.constant(indices)
    )(stage="optimized_hlo")
    assert " fusion(" in text and " while(" not in text and " conditional(" not in text


def everything(model):
    state = [*model.variables, *model.optimizer.variables]
    return [variable.numpy() for variable in state]


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_a_compiled_step_that_is_not_sound_changes_nothing_nor_does_a_later_one(
    steps_per_execution,
):
    steps = batches()
    settings = {"jit_compile": True, "steps_per_execution": steps_per_execution}
    model, reference = (compiled(tiny_encoder(batch_norm=True), **settings) for _ in range(2))
    reference.encoder.set_weights(model.encoder.get_weights())
    spoiled = [(images.copy(), indices) for images, indices in steps]
    spoiled[1][0][2, 0, 0, 0] = np.nan
    reference.fit(dataset(steps[:1]), verbose=0)
    with pytest.raises(StepNotFinite, match="step 2"):
        model.fit(dataset(spoiled), verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 1  # the step that failed is the next
    for ours, expected in zip(everything(model), everything(reference), strict=True):
        np.testing.assert_array_equal(ours, expected)
    model.fit(dataset(steps[1:]), verbose=0)  # nothing stands in the way of going on
    assert int(model.optimizer.iterations.numpy()) == 3


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_smaller_last_batch_is_not_traced_again(monkeypatch, jit_compile):
    traces, plain = [], AND.losses_and_gradients

    def noted(self, *args):
        traces.append(1)
        return plain(self, *args)

    monkeypatch.setattr(AND, "losses_and_gradients", noted)
    model = compiled(tiny_encoder(), jit_compile=jit_compile)
    model.fit(dataset(batches()), epochs=3, verbose=0)
    model.fit(dataset(batches()[1:]), verbose=0)  # the rest of an epoch that was broken off
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("budget_rows", "expected"), [(N, N), (N + 5, N), (2**31, N), (N - 1, 20), (9, 9), (0, 1)]
)
def test_the_budget_decides_how_many_rows_are_compared_at_once(monkeypatch, budget_rows, expected):
    monkeypatch.setattr(and_tf.bank.softmax, "BANK_BLOCK", 20)
    budget = 4 * BATCH * budget_rows / 2**20  # of logits (B, rows) in float32
    model = AND(tiny_encoder(), N, logits_budget_mb=budget)
    assert int(model.rows_at_once(BATCH)) == expected
    assert int(model.rows_at_once(tf.constant(BATCH))) == expected


def test_training_lowers_the_loss():
    model = compiled(tiny_encoder())
    losses = [model.fit(dataset(batches()), verbose=0).history["loss"][0] for _ in range(10)]
    assert losses[-1] < 0.9 * losses[0]


def test_only_the_encoder_is_trainable_and_the_seed_starts_the_bank():
    encoder = tiny_encoder()
    model, again = AND(encoder, N, seed=7), AND(encoder, N, seed=7)
    assert [id(v) for v in model.trainable_variables] == [
        id(v) for v in encoder.trainable_variables
    ]
    np.testing.assert_array_equal(model.bank.rows.numpy(), again.bank.rows.numpy())
    assert (model.bank.rows.numpy() != AND(encoder, N, seed=8).bank.rows.numpy()).any()


def test_predict_gives_the_embeddings_of_the_encoder():
    model = compiled(tiny_encoder(batch_norm=True))
    images = batches()[0][0]
    np.testing.assert_allclose(
        model.predict(images, verbose=0), model.encoder(images, training=False), atol=1e-6
    )


def test_settings_survive_serialisation():
    settings = {"neighbourhood_size": 3, "temperature": 0.07, "rate": 0.3, "seed": 5}
    model = AND(tiny_encoder(), N, logits_budget_mb=12, name="mine", **settings)
    again = AND.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.bank.rows.shape == (N, D) and again.bank.rate == 0.3
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]


def test_a_saved_keras_file_trains_on_as_the_model_would(tmp_path):
    model = compiled(tiny_encoder(), jit_compile=True)
    model.fit(dataset(batches()), verbose=0)
    model.round.assign(2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_compile_config()["jit_compile"] is True
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (m.fit(dataset(batches()), verbose=0).history["loss"] for m in (again, model))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("k", [0, -1, N, N + 5])
def test_a_neighbourhood_that_does_not_fit_is_refused(k):
    with pytest.raises(ValueError, match=rf"neighbourhood_size={k} must be .* images, {N}"):
        AND(tiny_encoder(), N, neighbourhood_size=k)


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 2}, {"temperature": 0}])
def test_settings_out_of_range_are_named(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        AND(tiny_encoder(), N, **wrong)
