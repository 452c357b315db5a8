"""The notebooks in examples/ run from top to bottom, without the network, for fewer epochs."""

import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
SHORTER = {"epochs_per_round=8": "epochs_per_round=1", "epochs=16": "epochs=2"}  # of quickstart


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_outputs_where_its_stored_form_has_them(
    path, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stored = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
        for words, fewer in SHORTER.items():
            cell.source = cell.source.replace(words, fewer)
    assert all(fewer in str(notebook) for fewer in SHORTER.values())
    folder = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=folder
    ).execute()
    for cell, before in zip(code_cells(notebook), code_cells(stored), strict=True):
        kinds = [
            {output.output_type for output in one.outputs if output.get("name") != "stderr"}
            for one in (cell, before)
        ]
        assert kinds[0] == kinds[1], cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_was_run_in_order_and_shows_no_error(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not any(o.output_type == "error" for o in outputs)


def test_there_is_a_notebook_to_start_with():
    assert "quickstart" in [path.stem for path in NOTEBOOKS]
