"""All ways from a JPEG to a crop give the same crop, but for the colours at its edges."""

import json

from benchmarks import decoders


def test_whole_decoders_agree_with_and_tf(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["decoders", "--files=3", "--repeats=1", f"--json={tmp_path / 'found.json'}"]
    )
    decoders.main()
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    differences = {row["way"]: row["largest difference"] for row in rows}
    assert differences["and_tf"] == 0
    assert all(value <= 2 for way, value in differences.items() if "whole" in way)
    assert differences["libjpeg-turbo of TensorFlow, the crop alone"] < 16
