"""Types of numbers in command lines."""

import argparse


def at_least_one(text: str) -> int:
    """An integer from 1 on.

    Raises:
        argparse.ArgumentTypeError: if it is another.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)
