import argparse
import json
import types

import numpy as np
import pytest

from benchmarks import knn


def test_all_cases_are_timed_beside_the_product(tmp_path, monkeypatch):
    monkeypatch.setattr(knn, "memory_of", lambda case, options: 1.0)
    path = tmp_path / "knn.json"
    knn.main(["--queries=30", "--rows=900", "--dim=8", "--k=5", "--repeats=1", f"--json={path}"])
    lines = json.loads(path.read_text())["rows"]
    cases = ["product", "and_tf", "top_k", "PyTorch"]
    assert [line["case"] for line in lines] == cases[: len(lines)] and len(lines) >= 3
    assert lines[0]["x product"] == 1
    assert all(line["s"] > 0 and line["extra MB"] == 1 for line in lines)


def test_memory_is_of_the_same_case_in_another_process(monkeypatch, capsys):
    def run(command, **settings):
        assert command[1:3] == ["-m", "benchmarks.knn"]
        knn.main(command[3:])
        return types.SimpleNamespace(stdout=capsys.readouterr().out)

    asked = []
    monkeypatch.setattr(knn, "_extra_mb", lambda options: asked.append(options) or 12.5)
    monkeypatch.setattr(knn.subprocess, "run", run)
    options = argparse.Namespace(queries=30, rows=900, dim=8, k=5, sorted=True)
    assert knn.memory_of("and_tf", options) == 12.5
    assert asked[0].memory_of == "and_tf"
    assert {name: getattr(asked[0], name) for name in vars(options)} == vars(options)


def test_the_peer_gives_the_scores_of_and_tf():
    pytest.importorskip("torch")
    options = argparse.Namespace(queries=30, rows=900, dim=8, k=5, sorted=True)
    cases = knn.make_cases(options)
    expected = cases["and_tf"]()
    np.testing.assert_allclose(cases["PyTorch"]().numpy(), expected, rtol=1e-4)
