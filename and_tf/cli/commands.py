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
    """What is typed to start a program, such as `python train.py`.

    Args:
        name: of the program, such as `train`.
    """
    return f"and-{name}" if is_installed() else f"python {name}.py"


def with_installed_names(text: str) -> str:
    """A text in which `train.py` and `python train.py` are called as this process is."""
    if not is_installed():
        return text
    return PROGRAM.sub(lambda found: f"and-{found[1]}" if found[1] in NAMES else found[0], text)
