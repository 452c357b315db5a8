"""The benchmark of the loss over the bank compares equal work."""

import argparse

import numpy as np
import pytest

from and_tf import unification_entropy
from benchmarks import bank

OPTIONS = argparse.Namespace(rows=500, batch=12, dim=8, repeats=2)


@pytest.mark.parametrize("name", ["written out", "PyTorch, written out"])
def test_all_ways_give_the_same_losses_and_gradient(name):
    if "PyTorch" in name:
        pytest.importorskip("torch")
    found = bank.cases(["bank_loss", name], 500, OPTIONS)
    for ours, theirs in zip(found["bank_loss"](), found[name](), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_case_with_entropy_adds_it_to_the_loss():
    found = bank.cases(["bank_loss", "bank_loss and entropy"], 500, OPTIONS)
    losses, _ = found["bank_loss"]()
    with_entropy, gradient = found["bank_loss and entropy"]()
    problem = bank.Problem(500, 12, 8)
    entropy = unification_entropy(
        problem.embeddings, problem.variable, problem.indices, bank.TEMPERATURE, 500
    )
    np.testing.assert_allclose(with_entropy, losses + bank.ENTROPY_WEIGHT * entropy, rtol=1e-5)
    assert gradient.shape == (12, 8)


def test_a_bank_in_float16_gives_the_losses_but_for_its_rounding():
    found = bank.cases(["bank_loss", "bank_loss, float16 bank"], 500, OPTIONS)
    expected, rounded = found["bank_loss"](), found["bank_loss, float16 bank"]()
    np.testing.assert_allclose(rounded[0], expected[0], atol=0.02)
    assert not np.array_equal(rounded[0], expected[0])


def test_the_limit_multiplies_with_the_whole_bank():
    pulled = bank.cases(["products"], 500, OPTIONS)["products"]()
    rows = bank.Problem(500, 12, 8)
    expected = rows.embeddings @ rows.array.T @ rows.array
    np.testing.assert_allclose(pulled, expected, rtol=1e-4, atol=1e-4)


def test_the_tables_hold_every_size(monkeypatch, capsys, tmp_path):
    def in_this_process(name, options, rows):
        assert name in (
            "products", "bank_loss", "bank_loss, float16 bank", "bank_loss and entropy",
            "written out", "PyTorch, written out",
        )  # fmt: skip
        return {"rows": rows, "seconds": 0.001 * rows, "extra_mb": 1.5}

    monkeypatch.setattr(bank, "in_its_own_process", in_this_process)
    arguments = ["--rows=300", "--batch=4", "--dim=8", "--growth=100,200", "--repeats=1"]
    monkeypatch.setattr("sys.argv", ["bank", *arguments, f"--plot={tmp_path / 'growth.png'}"])
    bank.main()
    printed = capsys.readouterr().out
    assert "| bank_loss |" in printed and "| written out |" in printed
    assert "| 100 |" in printed and "| 200 |" in printed
    assert (tmp_path / "growth.png").stat().st_size > 10_000
