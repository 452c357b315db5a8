"""Both starts that the benchmark compares load TensorFlow and Keras."""

import json

from benchmarks import program_start


def test_each_start_is_measured(tmp_path, monkeypatch):
    loaded = "; import sys; assert {'tensorflow', 'keras'} <= set(sys.modules)"
    monkeypatch.setattr(
        program_start, "CASES", {name: code + loaded for name, code in program_start.CASES.items()}
    )
    path = tmp_path / "found.json"
    monkeypatch.setattr("sys.argv", ["program_start", "--repeats=1", f"--json={path}"])
    program_start.main()
    plain, program = json.loads(path.read_text())["rows"]
    assert float(plain["seconds"]) > 0 and float(program["seconds"]) > 0
