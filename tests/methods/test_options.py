"""The options on the bank against a loop over images and views, and what they refuse."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.fitting import fit
from helpers.naive_group_loss import naive_group_loss

import and_tf.bank.softmax
from and_tf.errors import UserError
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.entropy_schedule import entropy_factor
from and_tf.methods.instance_model import InstanceModel
from and_tf.methods.options import BankOptions
from and_tf.methods.rounds import RoundPlan
from and_tf.training.optimizers import TorchSGD

N, D, BATCH, TAU, RATE, LR = 22, 5, 8, 0.2, 0.4, 0.05  # the last batch of an epoch has 6 images
VIEWS, ENTROPY = {"views": 2}, {"entropy_weight": 0.3}
GROUPS = {"views": 2, "group_weight": 0.7}
ALL = [VIEWS, ENTROPY, GROUPS, GROUPS | ENTROPY]


def encoder(batch_norm=False):
    x = images = keras.Input((4, 4, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1, dtype="float32")(x)
    x = keras.layers.Conv2D(6, 3)(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten()(keras.layers.ReLU()(x))
    x = keras.layers.Dense(D, dtype="float32", name="fc")(x)
    return keras.Model(images, keras.layers.UnitNormalization(dtype="float32")(x))


def twin(network):
    """A network with the same weights that shares none of them."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy


def compiled(cls=AND, network=None, jit_compile=False, **settings):
    if cls is AND:
        settings = {"neighbourhood_size": 2} | settings
    model = cls(network or encoder(), N, temperature=TAU, rate=RATE, seed=3, **settings)
    if cls is AND:
        rng = np.random.default_rng(0)
        others = [rng.permutation(np.delete(np.arange(N), i))[:2] for i in range(N)]
        model.neighbours.assign(np.array(others))
        model.is_anchor.assign(rng.random(N) < 0.7)
    model.compile(TorchSGD(LR, momentum=0.9), jit_compile=jit_compile)
    return model


def batches(views, epochs=1):
    """Every image once an epoch: (images (B, V, 4, 4, 3), or (B, 4, 4, 3) of one view, indices)."""
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (N, views, 4, 4, 3)).astype("float32")
    images = images if views > 1 else images[:, 0]
    orders = [rng.permutation(N) for _ in range(epochs)]
    parts = [order[start : start + BATCH] for order in orders for start in range(0, N, BATCH)]
    return [(images[part], part.astype("int64")) for part in parts]


def naive_training(model, network, steps):
    """The mean loss per image, the bank and the second head, after a loop over images and views."""
    rows = model.bank.rows.numpy()
    head = [tf.Variable(v) for v in model.group_head.weights] if model.group_weight else []
    trunk = keras.Model(network.inputs, network.layers[-2].input)
    variables = [*network.trainable_variables, *head]
    momenta = [np.zeros(v.shape, "float32") for v in variables]
    all_losses = []
    for images, indices in steps:
        images = images.reshape(len(indices), -1, 4, 4, 3)
        with tf.GradientTape() as tape:
            embeddings = network(images.reshape(-1, 4, 4, 3), training=True)
            embeddings = tf.reshape(embeddings, (*images.shape[:2], D))
            losses = []
            for views, i in zip(tf.unstack(embeddings), indices, strict=True):
                of_views = [naive_loss(model, rows, x, int(i)) for x in tf.unstack(views)]
                losses.append(sum(of_views) / len(of_views))
            loss = sum(losses) / len(losses)
            if head:
                groups = trunk(images.reshape(-1, 4, 4, 3), training=True) @ head[0] + head[1]
                groups = groups / tf.norm(groups, axis=1, keepdims=True)
                of_groups = naive_group_loss(groups[::2], groups[1::2], len(groups) // 4)
                losses = [one + model.group_weight * of_groups for one in losses]
                loss += model.group_weight * of_groups
        gradients = tape.gradient(loss, variables)
        for place, variable in enumerate(variables):
            momenta[place] = 0.9 * momenta[place] + gradients[place].numpy()
            variable.assign(variable.numpy() - LR * momenta[place])
        for views, i in zip(embeddings.numpy(), indices, strict=True):
            row = (1 - RATE) * rows[i] + RATE * views.mean(axis=0)
            rows[i] = row / np.linalg.norm(row)
        all_losses += [float(loss) for loss in losses]
    return np.mean(all_losses), rows, [variable.numpy() for variable in head]


def naive_loss(model, rows, x, i):
    """-log of the probability of the image's neighbourhood, and the entropy over all others."""
    terms = tf.exp(tf.linalg.matvec(rows, x) / TAU)
    positive = [i]
    if isinstance(model, AND) and model.is_anchor.numpy()[i]:
        positive += list(model.neighbours.numpy()[i])
    loss = -tf.math.log(sum(terms[j] for j in positive) / tf.reduce_sum(terms))
    others = tf.concat([terms[:i], terms[i + 1 :]], axis=0)
    q = others / tf.reduce_sum(others)
    return loss - model.entropy_weight * tf.reduce_sum(q * tf.math.log(q))


def assert_equal_training(model, network, steps, tolerance=1e-5):
    loss, rows, head = naive_training(model, network, steps)
    np.testing.assert_allclose(fit(model, steps), loss, rtol=tolerance)
    np.testing.assert_allclose(model.bank.rows.numpy(), rows, atol=tolerance)
    for ours, naive in zip(model.encoder.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, naive, rtol=tolerance, atol=tolerance)
    for ours, naive in zip(model.group_head.weights if head else [], head, strict=True):
        np.testing.assert_allclose(ours, naive, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("cls", "options", "jit_compile", "budget"),
    [
        *((AND, options, False, 256) for options in ALL),
        (AND, GROUPS | ENTROPY, True, 0),
        (InstanceModel, GROUPS | ENTROPY, False, 256),
    ],
    ids=str,
)
def test_training_equals_a_loop_over_images_and_views(
    monkeypatch, cls, options, jit_compile, budget
):
    monkeypatch.setattr(and_tf.bank.softmax, "BANK_BLOCK", 7)  # does not divide 22
    network = encoder()
    model = compiled(cls, network, jit_compile, logits_budget_mb=budget, **options)
    steps = batches(model.views)
    assert_equal_training(model, twin(network), steps)


def test_both_views_go_through_batch_norm_together():
    network = encoder(batch_norm=True)
    model, copy = compiled(InstanceModel, network, **VIEWS), twin(network)
    (images, indices), *_ = batches(2)
    fit(model, [(images, indices)])
    copy(images.reshape(-1, 4, 4, 3), training=True)
    for ours, expected in zip(
        network.get_layer("norm").non_trainable_weights,
        copy.get_layer("norm").non_trainable_weights,
        strict=True,
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_two_equal_views_are_one():
    images, indices = batches(1)[0]
    models = [compiled(network=encoder(), **options) for options in ({}, VIEWS)]
    models[1].encoder.set_weights(models[0].encoder.get_weights())
    losses = [
        fit(model, [(pixels, indices)])
        for model, pixels in zip(models, (images, np.stack([images] * 2, axis=1)), strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    np.testing.assert_allclose(models[0].bank.rows, models[1].bank.rows, atol=1e-6)
    for one, two in zip(models[0].encoder.weights, models[1].encoder.weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_evaluation_takes_single_clean_images():
    model = compiled(**VIEWS)
    (images, indices), *_ = batches(1)
    expected = [
        naive_loss(model, model.bank.rows.numpy(), x, int(i))
        for x, i in zip(tf.unstack(model.encoder(images)), indices, strict=True)
    ]
    assert model.evaluate(images, indices, verbose=0) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 4, 4, 3), (3, 4, 4, 3)])
def test_batches_without_two_views_are_refused(shape):
    model = compiled(**VIEWS)
    with pytest.raises(UserError, match=r"views=2 takes batches of images \(B, 2, H, W, 3\)"):
        model.fit(np.zeros((BATCH, *shape), "float32"), np.arange(BATCH), verbose=0)


@pytest.mark.parametrize("cls", [InstanceModel, AND])
def test_options_survive_serialisation_and_saving(tmp_path, cls):
    model = compiled(cls, **GROUPS, **ENTROPY)
    steps = batches(model.views)
    fit(model, steps)
    again = cls.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert (GROUPS | ENTROPY).items() <= again.get_config().items()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert fit(loaded, steps) == pytest.approx(fit(model, steps), rel=1e-6)


def test_the_second_head_is_trained_and_kept_but_no_part_of_the_encoder():
    model = compiled(**GROUPS)
    start, names = model.group_head.kernel.numpy(), [w.path for w in model.encoder.weights]
    assert [id(v) for v in model.trainable_variables[-2:]] == [
        id(v) for v in model.group_head.weights
    ]
    fit(model, batches(2))
    assert (model.group_head.kernel.numpy() != start).any()
    assert model.state().keys() - compiled().state().keys() == {
        "group_head/kernel", "group_head/bias",
    }  # fmt: skip
    assert model.round_state().keys() == compiled().round_state().keys()
    assert [w.path for w in model.encoder.weights] == names
    same = compiled(**GROUPS).group_head.kernel.numpy()
    np.testing.assert_array_equal(same, start)  # of the seed


def test_an_encoder_without_a_dense_layer_at_its_end_has_no_place_for_a_second_head():
    images = keras.Input((4, 4, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(D, 3)(images))
    network = keras.Model(images, pooled)
    with pytest.raises(UserError, match=r"group_weight puts a second head .* embedding_dim"):
        compiled(network=network, **GROUPS)


def test_options_that_are_off_add_no_state():
    model = compiled()
    assert not {"group_head", "current_entropy_weight"} & set(vars(model))
    assert model.state().keys() == {"bank", "neighbours", "is_anchor", "entropy", "round"}


PLAN = RoundPlan(rounds=2, epochs_per_round=200, first_round_epochs=5)


@pytest.mark.parametrize("epoch, expected", [
    (0, 0), (1, 0), (2, 1), (3, 1), (4, 2),
    (5, 0), (84, 0), (85, 1), (164, 1), (165, 2), (204, 2), (205, 0), (404, 2), (999, 2),
])  # fmt: skip
def test_entropy_counts_once_from_40_percent_of_a_round_and_twice_from_80(epoch, expected):
    assert entropy_factor(PLAN, epoch) == expected


def test_the_weight_of_entropy_follows_from_the_step():
    model = compiled(**ENTROPY)
    assert float(model.current_entropy_weight) == pytest.approx(0.3)
    (schedule,) = BankOptions(**ENTROPY).callbacks(PLAN, steps_per_epoch=3)
    schedule.set_model(model)
    for epoch, expected in ((0, 0), (2, 0.3), (4, 0.6), (5, 0)):
        model.optimizer.iterations.assign(3 * epoch + 2)  # whatever epoch `fit` counts
        schedule.on_epoch_begin(0)
        assert float(model.current_entropy_weight) == pytest.approx(expected)
    assert BankOptions().callbacks(PLAN, 3) == []


@pytest.mark.parametrize(("epochs", "is_warned"), [(1, True), (2, False)])
def test_an_entropy_that_never_counts_is_warned_of(epochs, is_warned, caplog):
    BankOptions(**ENTROPY).callbacks(RoundPlan(rounds=2, epochs_per_round=epochs), 3)
    assert ("entropy_weight=0.3 has no effect" in caplog.text) is is_warned


WRONG = [{"views": 0}, {"views": 3}, {"group_weight": 1}, {"entropy_weight": -1}]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_options_out_of_range_are_named(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(UserError, match=f"{name}={value}"):
        compiled(**wrong)


def test_a_model_of_version_0_4_is_read_unless_it_had_what_was_removed():
    model = compiled()
    again = AND.from_config(model.get_config() | {"mutual_neighbours": False})
    assert again.get_config() == model.get_config()
    with pytest.raises(UserError, match=r"mutual_neighbours=True was removed after version 0\.4"):
        AND.from_config(model.get_config() | {"mutual_neighbours": True})
