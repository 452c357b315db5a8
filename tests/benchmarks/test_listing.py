"""The benchmark of a start on many files counts them all, and finds the same at the second."""

import json

import pytest

from benchmarks import listing


@pytest.mark.parametrize("broken", [0, 5])
def test_a_small_tree(tmp_path, monkeypatch, capsys, broken):
    flags = [
        "--files=700",
        f"--broken={broken}",
        f"--folder={tmp_path}",
        f"--json={tmp_path / 'found.json'}",
    ]
    monkeypatch.setattr("sys.argv", ["listing", *flags])
    listing.main()
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["start"] for row in rows] == ["first", "second"]
    assert rows[0]["fingerprint"] == rows[1]["fingerprint"]
    assert [row["files/s"] * row["seconds"] for row in rows] == pytest.approx([700 - broken] * 2)
    assert [row["left out"] for row in rows] == [broken] * 2
    assert "700 files" in capsys.readouterr().out
