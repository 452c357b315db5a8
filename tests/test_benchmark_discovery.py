import json

import pytest

from benchmarks import discovery


def test_all_cases_are_timed_beside_the_product(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("faiss")
    monkeypatch.setattr(discovery, "extra_megabytes", lambda case, num_rows, options: 1.0)
    path = tmp_path / "discovery.json"
    discovery.main([
        "--rows=200,400,800", "--dim=16", "--neighbours=2", "--repeats=1", f"--json={path}",
    ])  # fmt: skip
    lines = json.loads(path.read_text())["rows"]
    cases = ["product", "discover", "faiss index", "PyTorch"]
    assert [(line["rows"], line["case"]) for line in lines] == [
        (num_rows, case) for num_rows in (200, 400, 800) for case in cases
    ]
    for line in lines:
        assert line["s"] > 0 and line["x product"] > 0
        if line["case"] in ("faiss index", "PyTorch"):
            assert line["neighbours agree %"] > 95
            assert line["entropy differs by"] < 1e-4


def test_memory_is_measured_in_a_process_of_its_own(capsys):
    discovery.main(["--memory_of=discover", "--rows=3000", "--dim=8"])
    assert 0 <= float(capsys.readouterr().out) < 20_000
