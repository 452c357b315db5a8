"""The Dockerfile names what there is, and runs the programs as a plain user."""

import re
import tomllib

from helpers.pages import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_what_it_copies_is_in_the_repository():
    copied = [name for line in LINES if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert {"and_tf", "configs", "pyproject.toml", "setup.py", "requirements.txt"} <= set(copied)
    for name in copied:
        assert list(ROOT.glob(name)), name


def test_the_package_finds_all_that_its_build_reads():
    copied = " ".join(line for line in LINES if line.startswith("COPY "))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name in [project["project"]["readme"], *project["project"]["license-files"]]:
        assert name in copied
    read = re.findall(r'"(requirements[\w-]*\.txt)"', (ROOT / "pyproject.toml").read_text())
    assert read and "requirements*.txt" in copied


def test_programs_run_as_a_plain_user_and_are_installed_ones():
    assert LINES.index("USER user") > max(n for n, x in enumerate(LINES) if x.startswith("RUN"))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in re.findall(r"\band-(?!tf\b|cuda\b)\w+", TEXT):
        assert name in scripts


def test_it_names_no_registry():
    (base,) = [line.split()[1] for line in LINES if line.startswith("FROM ")]
    assert "/" not in base and base.startswith("python:3.11")
