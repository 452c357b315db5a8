import argparse
import json
import types

from benchmarks import discovery


def test_all_cases_are_timed_beside_the_product(tmp_path, monkeypatch):
    monkeypatch.setattr(discovery, "extra_megabytes", lambda case, num_rows, options: 1.0)
    path = tmp_path / "discovery.json"
    discovery.main([
        "--rows=200,400,800", "--dim=16", "--neighbours=2", "--repeats=1", f"--json={path}",
    ])  # fmt: skip
    lines = json.loads(path.read_text())["rows"]
    cases = list(discovery._cases(discovery.clustered_rows(200, 16), 2))  # those installed
    assert cases[:2] == ["product", "discover"]
    assert [(line["rows"], line["case"]) for line in lines] == [
        (num_rows, case) for num_rows in (200, 400, 800) for case in cases
    ]
    for line in lines:
        assert line["s"] > 0 and line["x product"] > 0
        if line["case"] in ("faiss index", "PyTorch"):
            assert line["neighbours agree %"] > 95
            assert line["entropy differs by"] < 1e-4


def test_memory_is_of_the_same_case_in_another_process(monkeypatch, capsys):
    def run(command, **settings):
        assert command[1:3] == ["-m", "benchmarks.discovery"]
        discovery.main(command[3:])
        return types.SimpleNamespace(stdout=capsys.readouterr().out)

    asked = []
    monkeypatch.setattr(discovery, "_peak_of", lambda *case: asked.append(case) or 12.5)
    monkeypatch.setattr(discovery.subprocess, "run", run)
    options = argparse.Namespace(dim=8, neighbours=3)
    assert discovery.extra_megabytes("discover", 3000, options) == 12.5
    (case, rows, k), *_ = asked
    assert (case, rows.shape, k) == ("discover", (3000, 8), 3)


def test_the_memory_of_discovery_holds_its_copy_of_the_rows():
    rows = discovery.clustered_rows(30_000, 64)
    assert 0.8 * rows.nbytes / 1e6 < discovery._peak_of("discover", rows, 1) < 300
