"""The PyTorch counterparts do the same work: the same parameters, embeddings and loss."""

import numpy as np
import pytest

from and_tf import encoders
from and_tf.methods.anchor_neighbourhoods import loss as losses

torch = pytest.importorskip("torch")
from benchmarks.peers import networks  # noqa: E402
from benchmarks.peers import step as peer  # noqa: E402

torch.set_num_threads(1)  # threads that wait for cores spin, beside other tests for seconds

NAMES = ("alexnet", "resnet_small", "resnet18")


def module_of(net, layer_name):
    """The module for a Keras layer: `stage2_block1_bn1` is `stages.1.0.bn1`."""
    parts = layer_name.split("_")
    if parts[0].startswith("stage"):
        block = net.stages[int(parts[0][5:]) - 1][int(parts[1][5:]) - 1]
        if parts[2] == "shortcut":
            return block.shortcut[["conv", "bn"].index(parts[3])]
        return getattr(block, parts[2])
    found = getattr(net, layer_name, None)
    return getattr(net, parts[0])[parts[1] == "bn"] if found is None else found


def copy_weights(encoder, net):
    for layer in encoder.layers:
        if not layer.weights:
            continue
        first, *others = layer.get_weights()
        if first.ndim == 4:
            first = first.transpose(3, 2, 0, 1)
        elif layer.name == "hidden1_dense":  # flattened maps (4, 4, 256) are (256, 4, 4) there
            first = first.reshape(4, 4, 256, -1).transpose(3, 2, 0, 1).reshape(first.shape[1], -1)
        elif first.ndim == 2:
            first = first.T
        state = module_of(net, layer.name).state_dict()
        targets = [value for name, value in state.items() if name != "num_batches_tracked"]
        for target, values in zip(targets, [first, *others], strict=True):
            target.copy_(torch.from_numpy(np.ascontiguousarray(values)))


@pytest.mark.parametrize("name", NAMES)
def test_networks_have_equal_parameters_and_give_equal_embeddings(name):
    encoder, net = encoders.build_encoder(name, seed=0), networks.build(name)
    trainable = sum(int(np.prod(weight.shape)) for weight in encoder.trainable_weights)
    assert sum(parameter.numel() for parameter in net.parameters()) == trainable
    copy_weights(encoder, net)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    with torch.no_grad():
        planes = torch.from_numpy(images).permute(0, 3, 1, 2)
        in_evaluation = net.eval()(planes).numpy()
        in_training = net.train()(planes).numpy()
    np.testing.assert_allclose(in_evaluation, encoder(images, training=False), atol=1e-4)
    np.testing.assert_allclose(in_training, encoder(images, training=True), atol=1e-4)


def test_the_loss_is_that_of_the_package():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 20)).astype(np.float32)
    indices, neighbours = rng.permutation(20)[:5], rng.integers(20, size=(5, 3))
    is_anchor = np.array([True, False, True, True, False])
    arrays = [torch.from_numpy(array) for array in (logits, indices, neighbours, is_anchor)]
    expected = losses.neighbourhood_loss(logits, indices, neighbours, is_anchor)
    assert float(peer.neighbourhood_loss(*arrays)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_step_trains():
    torch.manual_seed(0)
    step = peer.training_step("resnet_small", batch_size=8, num_rows=50)
    first, *_, last = [step() for _ in range(5)]
    assert last < first


def test_the_bank_moves_the_rows_of_the_batch_alone():
    bank = peer.MemoryBank(6, 4)
    before = bank.rows.clone()
    bank.update(torch.tensor([4, 1]), torch.nn.functional.normalize(torch.ones(2, 4)))
    moved = (bank.rows != before).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True, False]
    assert bank.rows[[4, 1]].norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)
