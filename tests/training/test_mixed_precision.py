"""Half precision in the encoder: what stays in float32, and float16's scaled loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.fitting import fit

from and_tf.data.sources.source import array_source
from and_tf.encoders.layers import TorchLayers, normalised_input
from and_tf.encoders.split import SplitLayers, split_input
from and_tf.errors import StepNotFinite
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.deepcluster.method import DeepCluster
from and_tf.methods.split_brain.method import SplitBrain
from and_tf.methods.supervised import Supervised
from and_tf.runs import checkpoint
from and_tf.training.hardware import precision_policy
from and_tf.training.optimizers import TorchSGD

N, D, BATCH = 24, 5, 8


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param.removeprefix("mixed_")
    keras.config.set_dtype_policy(before)


float16 = pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)


def build(jit_compile=False, scale=None, **options):
    layers = TorchLayers(seed=0)
    images, x = normalised_input((4, 4, 3), [128.0] * 3, [64.0] * 3)
    x = layers.batch_norm(layers.convolution(x, 6, 3, name="conv"), name="norm")
    x = keras.layers.Flatten()(layers.relu(x, name="relu"))
    encoder = keras.Model(images, layers.embedding(x, D))
    model = AND(encoder, N, neighbourhood_size=2, seed=0, **options)
    model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True), jit_compile=jit_compile)
    if scale:
        model.optimizer.dynamic_scale.assign(scale)
    return model


def batches(epochs=1):
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (N, 4, 4, 3)).astype("float32")
    orders = [rng.permutation(N) for _ in range(epochs)]
    parts = [order[start : start + BATCH] for order in orders for start in range(0, N, BATCH)]
    return [(images[part], part.astype("int64")) for part in parts]


def values(model):
    return checkpoint.values(checkpoint.training_state(model))


def assert_equal(ours, theirs, names=None):
    assert ours.keys() == theirs.keys()
    for name in names or ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_only_the_arithmetic_of_the_encoder_is_in_half_precision(policy):
    model = build()
    images, indices = (tf.constant(array) for array in batches()[0])
    step = tf.function(model._checked_step).get_concrete_function(images, indices)
    ops = step.graph.get_operations()
    types = {(op.type, out.dtype.name) for op in ops for out in op.outputs}
    assert ("Conv2D", policy) in types and ("Conv2D", "float32") not in types
    # BatchNorm's moments, unit length, similarities, softmax and the optimiser.
    kept = ("FusedBatchNormV3", "Mean", "Rsqrt", "Sqrt", "Exp", "Log", "LogSoftmax", "Softmax")
    halves = {kind for kind, dtype in types if kind in kept and dtype == policy}
    assert halves <= {"FusedBatchNormV3"}  # the normalised maps; its moments are float32:
    assert ("FusedBatchNormV3", "float32") in types
    _, embeddings, _ = model.losses_and_gradients(images, indices, tf.ones(BATCH))
    assert embeddings.dtype == tf.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    floating = [v for v in model.variables + model.optimizer.variables if "float" in v.dtype]
    assert {v.dtype for v in floating} == {"float32"}


def test_half_precision_trains_as_float32_does(policy):
    model = build(scale=2.0**8 if policy == "float16" else None)
    losses = [fit(model, batches()) for _ in range(3)]
    keras.config.set_dtype_policy("float32")
    model = build()
    np.testing.assert_allclose(losses, [fit(model, batches()) for _ in range(3)], rtol=0.03)


OPTIONS = {"views": 2, "group_weight": 0.5, "entropy_weight": 0.2}


def test_the_options_train_in_half_precision_as_in_float32(policy):
    jit_compile = policy.endswith("bfloat16")
    rng = np.random.default_rng(3)
    views = [
        (np.clip(images[:, None] + rng.normal(0, 9, (len(images), 2, 4, 4, 3)), 0, 255), indices)
        for images, indices in batches()
    ]
    views = [(images.astype("float32"), indices) for images, indices in views]
    model = build(jit_compile, scale=2.0**8 if policy == "float16" else None, **OPTIONS)
    losses = [fit(model, views) for _ in range(3)]
    assert {v.dtype for v in model.group_head.weights} == {"float32"}
    keras.config.set_dtype_policy("float32")
    model = build(jit_compile, **OPTIONS)
    np.testing.assert_allclose(losses, [fit(model, views) for _ in range(3)], rtol=0.03)


def build_classifier():
    images, x = normalised_input((4, 4, 3), [128.0] * 3, [64.0] * 3)
    x = TorchLayers(seed=0).convolution(x, 6, 3, name="conv")
    return keras.Model(images, TorchLayers(seed=0).embedding(keras.layers.Flatten()(x), D))


def build_split():
    images, halves = split_input(4)
    layers = SplitLayers(TorchLayers(seed=0))
    x = layers.relu(layers.convolution(halves, 6, 3, name="conv"), name="relu")
    return keras.Model(images, layers.embedding(x, 6))


def build_without_bank(method, scale=None):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3), "uint8")
    encoder = build_split() if isinstance(method, SplitBrain) else build_classifier()
    model = method.build_model(encoder, array_source(images, labels=np.arange(N) % 3), seed=0)
    model.compile(TorchSGD(0.05, momentum=0.9, nesterov=True))
    if scale:
        model.optimizer.dynamic_scale.assign(scale)
    return model


@pytest.mark.parametrize("method", [Supervised(), DeepCluster(num_clusters=4), SplitBrain()])
def test_methods_without_a_bank_train_in_half_precision_as_in_float32(policy, method):
    def losses(model):
        found = []
        for epoch in range(3):
            if isinstance(method, DeepCluster):
                model.begin_epoch(epoch, (np.arange(N) + epoch) % 4)
            found.append(fit(model, batches()))
        return found

    model = build_without_bank(method, scale=2.0**8 if policy == "float16" else None)
    start = values(model)
    found = losses(model)
    moved = {name for name, value in values(model).items() if (value != start[name]).any()}
    assert {name for name in start if name.endswith("kernel")} <= moved
    floating = [v for v in model.variables + model.optimizer.variables if "float" in v.dtype]
    assert {v.dtype for v in floating} == {"float32"}
    keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(found, losses(build_without_bank(method)), rtol=0.03)


@float16
def test_new_clusters_begin_the_momentum_of_the_top_anew_whatever_the_scale(policy):
    model = build_without_bank(DeepCluster(num_clusters=4), scale=2.0**8)
    model.begin_epoch(0, np.arange(N) % 4)
    fit(model, batches())

    def momenta():
        inner = model.optimizer.inner_optimizer
        places = map(inner._get_variable_index, model.top.trainable_variables)
        return [inner.buffers[place].numpy() for place in places]

    assert all(np.any(momentum) for momentum in momenta())
    model.begin_epoch(1, (np.arange(N) + 1) % 4)
    assert not any(np.any(momentum) for momentum in momenta())


@float16
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_gradient_that_overflows_skips_the_encoder_and_halves_the_scale(policy, jit_compile):
    model = build(jit_compile, scale=2.0**40)
    before = values(model)
    loss = fit(model, batches()[:2])
    after = values(model)
    assert np.isfinite(loss)
    assert float(model.optimizer.dynamic_scale) == 2.0**38
    assert int(model.optimizer.iterations) == 2  # data and learning rate go on
    changed = {name for name in after if (before[name] != after[name]).any()}
    assert "bank" in changed and not changed & {"encoder/conv/kernel", "encoder/fc/kernel"}
    assert not any(np.any(momentum) for momentum in model.optimizer.inner_optimizer.buffers)


@float16
def test_training_starts_once_the_scale_has_come_down(policy):
    model = build(scale=2.0**24)
    start = model.encoder.get_layer("conv").kernel.numpy()
    for _ in range(10):
        fit(model, batches())
    assert float(model.optimizer.dynamic_scale) < 2.0**24
    assert int(model.optimizer.iterations) == 30
    assert np.abs(model.encoder.get_layer("conv").kernel - start).max() > 0


@float16
@pytest.mark.parametrize("cut", [1, 4])
def test_a_run_resumed_after_an_overflow_equals_the_uninterrupted_one(tmp_path, policy, cut):
    steps, scale = batches(epochs=2), 2.0**24
    whole = build(scale=scale)
    fit(whole, steps[:cut])
    fit(whole, steps[cut:])
    begun = build(scale=scale)
    fit(begun, steps[:cut])
    path = tmp_path / "last.npz"
    checkpoint.save(path, values(begun), {})
    resumed = build()
    checkpoint.restore(checkpoint.training_state(resumed), checkpoint.load(path)[0], path)
    fit(resumed, steps[cut:])
    assert float(resumed.optimizer.dynamic_scale) < scale
    assert_equal(values(resumed), values(whole))


@float16
@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_image_that_is_no_number_stops_training_whatever_the_scale(policy, jit_compile):
    model = build(jit_compile)
    images, indices = batches()[0]
    images[3, 1, 1, 0] = np.nan
    before = values(model)
    with pytest.raises(StepNotFinite):
        fit(model, [(images, indices)])
    kept = [n for n in before if n.startswith(("bank", "optimizer", "encoder/conv", "encoder/fc"))]
    assert_equal(values(model), before, kept)


@float16
def test_a_gradient_that_overflows_at_the_lowest_scale_stops_training(monkeypatch, policy):
    plain = AND.embedding_loss

    def overflowing(self, *args):
        losses, gradient = plain(self, *args)
        return losses, gradient * np.inf

    monkeypatch.setattr(AND, "embedding_loss", overflowing)
    model = build(scale=4.0)
    with pytest.raises(StepNotFinite):
        fit(model, batches())
    assert int(model.optimizer.iterations) == 2 and float(model.optimizer.dynamic_scale) == 1.0


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], "mixed_bfloat16"),
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (7, 5)], "mixed_float16"),
    ],
)
def test_mixed_is_what_the_oldest_gpu_multiplies(monkeypatch, capabilities, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities)
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu}
    )
    assert precision_policy("mixed") == expected
    assert precision_policy("float32") == "float32"
