"""The benchmark of checkpoints writes the same state in both ways."""

import json

import pytest

from benchmarks import checkpoint_stall

pytestmark = pytest.mark.usefixtures("thin_resnet")


def test_it_tells_stall_and_steps_of_both_ways_and_types(monkeypatch, tmp_path, capsys):
    flags = ["--rows=50", "--dim=8", "--batch=4", "--every=2", "--repeats=1"]
    flags += [f"--folder={tmp_path}", f"--json={tmp_path / 'found.json'}"]
    monkeypatch.setattr(checkpoint_stall, "SIDE", 8)
    monkeypatch.setattr("sys.argv", ["checkpoint_stall", *flags])
    checkpoint_stall.main()
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["bank"] for row in rows] == ["float32"] * 2 + ["float16"] * 2
    assert all(row["stall, s"] > 0 and row["step, s"] > 0 for row in rows)
    sizes = [row["checkpoint, MB"] for row in rows]
    assert sizes[0] == sizes[1] > sizes[2] == sizes[3]
    assert "| stall, s |" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
