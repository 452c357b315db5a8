"""Measured tables name the commit at which they were measured."""

import re
import subprocess

import pytest
from helpers.pages import PAGES, ROOT, page_name

MEASURED = [ROOT / "docs" / name for name in ("results.md", "performance.md")]
# Published by others, or tested at every commit.
EXEMPT = {"The paper's results", "Agreement with the authors' code"}
COMMIT = re.compile(r"`([0-9a-f]{7})`")


def sections(text):
    """Heading and text of each section of the second level."""
    parts = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", MEASURED, ids=page_name)
def test_each_section_with_a_table_names_its_commit(page):
    found = [(heading, text) for heading, text in sections(page.read_text()) if "|---" in text]
    assert found
    for heading, text in found:
        assert heading in EXEMPT or COMMIT.search(text), heading


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_commits_named_exist(page):
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("the history is not here")
    for commit in COMMIT.findall(page.read_text()):
        assert git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0, commit


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_number_waits_to_be_measured_again(page):
    """Such numbers are measured again or removed."""
    text = " ".join(page.read_text().lower().split())
    assert not re.search(
        r"re-?measure|old rounding|with other blocks|before .{1,20} was fused", text
    )
