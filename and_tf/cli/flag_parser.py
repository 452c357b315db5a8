"""A parser of flags: absl's, but with a bad flag refused in one line and exit status 2."""

import math
import sys
import types
from collections.abc import Callable, Sequence

from absl import flags


class Flags:
    """The flags of one program: absl's, kept apart from its global ones, which `exit` with 1.

    Args:
        program: name for messages.
        purpose: one line for `--help`.
    """

    def __init__(self, program: str, purpose: str):
        self.program, self.purpose = program, purpose
        self.values = flags.FlagValues()
        self.rules: list[Callable] = []  # of values together
        self.boolean("help", False, "Show this help.")
        self.string("flagfile", "", "Read flags from this file, one a line; later flags win.")

    def string(self, name, default, text):
        flags.DEFINE_string(name, default, text, flag_values=self.values)

    def boolean(self, name, default, text):
        flags.DEFINE_boolean(name, default, text, flag_values=self.values)

    def choice(self, name, default, choices, text):
        flags.DEFINE_enum(name, default, choices, text, flag_values=self.values)

    def integer(self, name, default, text, lowest=None, highest=None):
        flags.DEFINE_integer(name, default, text, flag_values=self.values)
        if lowest is not None:
            self.check(name, lambda value: value >= lowest, f"must be at least {lowest}")
        if highest is not None:
            self.check(name, lambda value: value <= highest, f"must be at most {highest}")

    def number(self, name, default, text, holds, rule):
        flags.DEFINE_float(name, default, text, flag_values=self.values)
        self.check(name, lambda value: math.isfinite(value) and holds(value), rule)

    def numbers(self, name, kind, text, holds, rule):
        """A list of numbers such as 1,5,20, or None; each is checked, and kept once."""
        flags.DEFINE(_Numbers(kind, holds, rule), name, None, text, flag_values=self.values)

    def check(self, name: str, holds: Callable, rule: str) -> None:
        flags.register_validator(
            name, lambda value: value is None or bool(holds(value)), rule, flag_values=self.values
        )

    def parse(self, argv: Sequence[str] | None = None) -> types.SimpleNamespace:
        """Values of the command line. A bad flag ends the program: one line, exit status 2."""
        try:
            options = self.read(sys.argv[1:] if argv is None else argv)
        except ValueError as error:
            print(f"{self.program}: {error}", file=sys.stderr)
            sys.exit(2)
        if self.values.help:
            print(f"{self.purpose}\n{self.values.get_help()}")
            sys.exit(0)
        return options

    def read(self, argv: Sequence[str]) -> types.SimpleNamespace:
        """Values of flags given as on a command line.

        Raises:
            ValueError: for an unknown flag, a value out of range or a stray argument.
        """
        try:
            rest = self.values([self.program, *argv])[1:]
        except flags.Error as error:
            raise ValueError(" ".join(str(error).split())) from error
        except UnicodeDecodeError as error:
            files = " ".join(word for word in argv if "flagfile" in word)
            raise ValueError(f"{files} is no text: name a file with one flag a line.") from error
        if rest:
            raise ValueError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
        values = self.values.flag_values_dict()
        names = [name for name in values if name not in ("help", "flagfile")]
        options = types.SimpleNamespace(**{name: values[name] for name in names})
        for rule in self.rules:
            if words := rule(options):
                raise ValueError(words)
        return options


class _Numbers(flags.ArgumentParser):
    """Numbers of one kind, int or float, separated by commas."""

    syntactic_help = "numbers separated by commas"

    def __init__(self, kind, holds, rule):
        self.kind, self.holds, self.rule = kind, holds, rule

    def parse(self, argument):
        try:
            values = [self.kind(part) for part in argument.split(",")]
        except ValueError as error:
            kind = "whole numbers" if self.kind is int else "numbers"
            raise ValueError(f"must be {kind} separated by commas, such as 1,5") from error
        if not all(math.isfinite(value) and self.holds(value) for value in values):
            raise ValueError(f"each {self.rule}")
        return list(dict.fromkeys(values))
