"""Discovery from a bank in parts, and of very many images: nothing is gathered, nothing lost."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.replicas_in_threads import on_each
from helpers.replicated_training import build

from and_tf.methods.anchor_neighbourhoods import curriculum as module
from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.runs.discovery_blocks import DiscoveryBlocks
from and_tf.runs.workdir import Workdir
from and_tf.search import in_blocks
from and_tf.search.neighbourhoods import Neighbourhoods, discover


def callback(model, **settings):
    made = NeighbourhoodCurriculum(rounds=2, epochs_per_round=2, **settings)
    made.set_model(model)
    made.set_params({})
    return made


def test_a_bank_in_parts_is_searched_without_gathering_it(two_replicas, monkeypatch):
    model = build(two_replicas, 21, "dense", shard_bank=True)
    rows, sizes = model.bank.read_all(), []
    read = model.bank.read
    monkeypatch.setattr(model.bank, "read_all", lambda: pytest.fail("gathered"))
    monkeypatch.setattr(model.bank, "read", lambda r: sizes.append(r.stop - r.start) or read(r))
    monkeypatch.setattr(in_blocks, "blocks_of", lambda count, size: [slice(0, 11), slice(11, 21)])
    monkeypatch.setattr(in_blocks, "BLOCK_BYTES", 1)
    callback(model).on_epoch_begin(2)
    assert int(model.round.numpy()) == 1 and max(sizes) == 11
    expected = discover(rows, 2)
    np.testing.assert_array_equal(model.neighbours.numpy(), expected.neighbours)
    np.testing.assert_allclose(model.entropy.numpy(), expected.entropy, rtol=1e-6)


def test_a_long_discovery_that_was_killed_goes_on(two_replicas, monkeypatch, tmp_path):
    monkeypatch.setattr(in_blocks, "ROWS_WORTH_KEEPING", 21)
    monkeypatch.setattr(
        in_blocks, "blocks_of", lambda count, size: [slice(n, n + 7) for n in (0, 7, 14)]
    )
    monkeypatch.setattr(in_blocks, "BLOCK_BYTES", 1)
    model = build(two_replicas, 21, "dense")
    blocks = DiscoveryBlocks(Workdir(tmp_path), lambda: {"step": 6})
    compare, compared = in_blocks.PartOnCpu.compare, []

    def killed_in_the_third(*arguments):
        compared.append(1)
        if len(compared) == 3:
            raise KeyboardInterrupt
        return compare(*arguments)

    monkeypatch.setattr(in_blocks.PartOnCpu, "compare", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        callback(model, blocks=blocks).on_epoch_begin(2)
    assert int(model.round.numpy()) == 0
    next_start = callback(model, blocks=blocks)
    next_start.on_epoch_begin(2)
    assert len(compared) == 4 and len(list((tmp_path / "discovery").iterdir())) == 3
    expected = discover(model.bank.read_all(), 2)
    np.testing.assert_array_equal(model.neighbours.numpy(), expected.neighbours)
    next_start.on_train_end()
    assert not (tmp_path / "discovery").exists()


def test_an_index_is_made_by_one_process_and_the_others_only_give_their_rows(monkeypatch):
    monkeypatch.setattr(module, "import_faiss", lambda: None)
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
    given = []

    def by_index(rows, k, *others, **settings):
        return Neighbourhoods(rows[:, 0].copy(), np.full((9, k), 3, np.int32))

    monkeypatch.setattr(module, "discover_by_index", by_index)

    def work(replica):
        bank = SimpleNamespace(
            is_sharded=True,
            read_all=lambda: replica.total(rows * (replica.number == 0)),
            stored=SimpleNamespace(
                take_part=lambda: given.append(replica.total(np.zeros_like(rows)))
            ),
        )
        made = callback(SimpleNamespace(bank=bank, num_samples=9), search="faiss", sharing=replica)
        return made._discover(2, 0.1)

    for found in on_each(3, work)[0]:
        np.testing.assert_array_equal(found.entropy, rows[:, 0])
        assert found.neighbours.shape == (9, 2) and (found.neighbours == 3).all()
    assert len(given) == 2
