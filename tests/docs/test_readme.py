"""The README is short, and its first block is what CI runs."""

from helpers.pages import ROOT, code_blocks

README = (ROOT / "README.md").read_text()


def test_it_is_at_most_130_lines():
    assert len(README.splitlines()) <= 130


def test_its_first_block_installs_and_runs_an_experiment_then_the_tests():
    experiment, tests = code_blocks(README, "bash")[0].code.splitlines()
    assert experiment.startswith("pip install -r requirements.txt && python train.py ")
    assert tests.startswith("pip install -r requirements-dev.txt && python -m pytest")


def test_it_links_to_every_page_of_the_site():
    for page in (ROOT / "docs").glob("*.md"):
        if page.stem != "index":
            assert f"(docs/{page.name}" in README, page.name
