"""The README and the pages of docs/: their text, code blocks and headings."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class CodeBlock(NamedTuple):
    """A fenced block.

    Attributes:
        language: such as `python`; empty where none is given.
        code: its lines, without the indentation of the fence.
        line: number of its first line in the page.
    """

    language: str
    code: str
    line: int


def page_name(page: Path) -> str:
    """The page's path in the repository; names the test."""
    return page.relative_to(ROOT).as_posix()


def code_blocks(text: str, *languages: str) -> list[CodeBlock]:
    """The fenced blocks in these languages, in their order; in any, if none is given."""
    found = []
    for match in _FENCE.finditer(text):
        if not languages or match[2] in languages:
            line = text.count("\n", 0, match.start(3)) + 1
            found.append(CodeBlock(match[2], textwrap.dedent(match[3]), line))
    return found


def without_code_blocks(text: str) -> str:
    """The prose, with its inline code."""
    return _FENCE.sub("", text)


def inline_code(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", without_code_blocks(text))
