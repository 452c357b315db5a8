"""The converter of EfficientNet-Lite0, on weights at random: the real ones are no part of this."""

import numpy as np
import pytest

from and_tf.encoders import layer_names
from examples import efficientnet_lite0


def random_state(encoder):
    """A state of PyTorch's names and shapes, by the layers that are to take it."""
    random = np.random.default_rng(0)
    state = {}

    def pair(conv, norm, shape):
        state[f"{conv}.weight"] = np.float32(random.normal(size=shape) / np.sqrt(shape[1]))
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = random.uniform(0.5, 1, shape[0]).astype("float32")

    pair("_conv_stem", "_bn0", (32, 3, 3, 3))
    number, width = 0, 32
    for stage in efficientnet_lite0.STAGES:
        for _ in range(stage.blocks):
            block, inner, side = f"_blocks.{number}.", width * stage.expansion, stage.kernel_size
            if stage.expansion > 1:
                pair(f"{block}_expand_conv", f"{block}_bn0", (inner, width, 1, 1))
            pair(f"{block}_depthwise_conv", f"{block}_bn1", (inner, 1, side, side))
            pair(f"{block}_project_conv", f"{block}_bn2", (stage.filters, inner, 1, 1))
            number, width = number + 1, stage.filters
    pair("_conv_head", "_bn1", (1280, 320, 1, 1))
    return state


def test_every_weight_is_loaded():
    encoder = efficientnet_lite0.build(32)
    state = random_state(encoder)
    efficientnet_lite0.load(encoder, state)
    given = np.sort(np.concatenate([array.ravel() for array in state.values()]))
    held = np.sort(np.concatenate([weight.numpy().ravel() for weight in encoder.weights]))
    np.testing.assert_array_equal(given, held)
    assert encoder.count_params() == 3_413_024
    assert layer_names(encoder) == ["stem", "stage1", "stage2", "stage3", "stage4", "fc"]


def test_outputs_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("efficientnet_lite_pytorch")
    torch.manual_seed(0)
    network = theirs.EfficientNet.from_name("efficientnet-lite0").eval()
    for module in network.modules():  # averages other than 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    encoder = efficientnet_lite0.build(64)
    efficientnet_lite0.load(encoder, network.state_dict())
    difference = efficientnet_lite0.largest_difference(encoder, network)
    assert difference < efficientnet_lite0.TOLERANCE
    encoder.get_layer("head_bn").beta.assign_add(np.linspace(0, 1, 1280))
    assert efficientnet_lite0.largest_difference(encoder, network) > efficientnet_lite0.TOLERANCE
