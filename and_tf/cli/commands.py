"""How the programs are called: `python train.py` in a checkout, `and-train` where installed."""

import os
import re
import sys

PROGRAM = re.compile(r"(?<![\w/.\-])(?:python )?([a-z]+)\.py\b(?!/)")
NAMES = ("train", "evaluate", "report", "export", "embed", "search", "pack")


def is_installed() -> bool:
    """Whether this process was started as one of the installed programs."""
    return os.path.basename(sys.argv[0]).startswith("and-")


def command(name: str) -> str:
    """The command that starts a program, such as `python train.py`.

    Args:
        name: the program's, such as `train`.
    """
    return f"and-{name}" if is_installed() else f"python {name}.py"


def with_installed_names(text: str) -> str:
    """The text with `train.py` and `python train.py` as `and-train` where that is installed."""
    if not is_installed():
        return text
    return PROGRAM.sub(lambda found: f"and-{found[1]}" if found[1] in NAMES else found[0], text)
