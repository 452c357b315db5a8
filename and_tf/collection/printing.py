"""Lines in the terminal with names of files, which may contain anything but "/"."""

import unicodedata

CONTROLS = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters and line breaks


def print_line(line: str) -> None:
    """Prints one line, whatever the names in it contain."""
    print(one_line(line))


def one_line(text: str) -> str:
    """The text on one line: "?" for what UTF-8 lacks, control characters escaped as in Python."""
    text = text.encode(errors="replace").decode()
    return "".join(
        repr(char)[1:-1] if unicodedata.category(char) in CONTROLS else char for char in text
    )


def count_of(number: int, noun: str) -> str:
    """A number and what is counted, such as `1 image` or `1,200 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
