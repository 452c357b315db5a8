"""Flags made from settings: absl's, with flagfiles, but a bad flag is refused in one line."""

import difflib
import inspect
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from absl import flags

from and_tf import __version__
from and_tf.cli.commands import command, with_installed_names
from and_tf.errors import Argument, UserError
from and_tf.settings import SettingError, Settings, fields_of, parse
from and_tf.settings.former import FORMER, words_without_former
from and_tf.settings.values import Field
from and_tf.training.cards import card, describe_cards

NESTED = 4  # levels of flagfiles that name flagfiles and begin with a byte-order mark
WIDTH = 96  # characters per line of `--help`


class Flags:
    """The flags of one program, one group per class of settings.

    They are separate from absl's global flags, which end a program with status 1 on an error.

    Args:
        program: the file that starts it, such as `train.py`.
        purpose: one line for `--help`.
        examples: commands for `--help`, as typed in a checkout.
        settings: classes whose fields become flags. A field that occurs in several is one flag,
            with the default of the first.
        has_cards: whether `--config` names a card of configs/.
        remarks: what `--help` adds after a flag's default and range, by flag name.
        takes_former: whether flags of earlier versions are accepted, see `FORMER`.

    Attributes:
        from_files: names of the flags that the last `parse` found only in a card or flagfile.
    """

    def __init__(
        self,
        program: str,
        purpose: str,
        examples: Sequence[str],
        settings: Sequence[type[Settings]],
        has_cards: bool = False,
        remarks: Mapping[str, str] | None = None,
        takes_former: bool = False,
    ):
        self.name = program.removesuffix(".py")
        self.purpose, self.has_cards, self.remarks = purpose, has_cards, remarks or {}
        self.takes_former = takes_former
        self.from_files: frozenset[str] = frozenset()
        self.examples = [with_installed_names(example) for example in examples]
        self.fields: dict[str, Field] = {}
        for field in (field for cls in settings for field in fields_of(cls)):
            self.fields.setdefault(field.name, field)
        self.values = flags.FlagValues()
        flags.DEFINE_boolean("help", False, "Show this help.", flag_values=self.values)
        flags.DEFINE_string(
            "flagfile", "", "Read flags from this file, one per line.", flag_values=self.values
        )
        for field in self.fields.values():
            _define(field, self.values)

    @property
    def program(self) -> str:
        """The name that begins each message: `train.py`, or `and-train` if it is installed."""
        return command(self.name).removeprefix("python ")

    def parse(self, argv: Sequence[str] | None = None) -> dict[str, Any]:
        """The values of the flags that are given.

        `--help`, `--version` and `--config=list` print and end the program with status 0.

        A flag that is not given is left out: its settings have the default.

        Raises:
            UserError: for an unknown flag, an invalid value, or a stray argument.
        """
        argv = sys.argv[1:] if argv is None else list(argv)
        if any(word in ("--help", "-help", "-h", "--h") for word in argv):
            _end(self.help())
        if any(word in ("--version", "-version") for word in argv):
            _end(f"{self.program} {__version__}")
        argv = [*_expanded(_with_card_files(argv) if self.has_cards else argv)]
        try:
            rest = self.values([self.program, *self._with_flagfiles(argv)])[1:]
        except flags.UnrecognizedFlagError as error:
            raise UserError(self._unknown(error.flagname)) from error
        except flags.CantOpenFlagFileError as error:
            reason = getattr(error.__context__, "strerror", None) or error
            raise UserError(f"{_flagfiles(argv)} cannot be read: {reason}.") from error
        except flags.Error as error:
            raise UserError(" ".join(str(error).split())) from error
        except UnicodeDecodeError as error:
            raise UserError(
                f"{_flagfiles(argv)} is not text: name a file with one flag per line."
            ) from error
        if rest:
            raise UserError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
        given = [name for name in self.fields if self.values[name].present]
        words = {word.lstrip("-").partition("=")[0] for word in argv if word.startswith("-")}
        self.from_files = frozenset(n for n in given if not words & {n, f"no{n}"})
        return {name: self.values[name].value for name in given}

    def _with_flagfiles(self, argv: Sequence[str]) -> list[str]:
        """The words with flagfiles replaced by their contents, without marks and former flags."""
        words = list(argv)
        for _ in range(NESTED):  # absl does not see that a marked line names a file
            words = self.values.read_flags_from_files(words, force_gnu=False)
            words = [*_without_byte_order_marks(words)]
        return [*words_without_former(words)] if self.takes_former else words

    def _unknown(self, name: str) -> str:
        """The message for a flag that does not exist; suggests one that begins similarly."""
        beginnings = {field[: len(name) + 1]: field for field in self.fields}
        close = difflib.get_close_matches(name, beginnings, n=1)
        hint = f"did you mean --{beginnings[close[0]]}?" if close else "see --help."
        return f"There is no flag --{name}: {hint}"

    def spell(self, argument: Argument) -> str:
        """An argument named in a message, written as a flag if the program has one for it."""
        name = FLAG_NAMES.get(argument.name, argument.name)
        if name not in self.fields:
            name = OTHER_NAMES.get(name, name)
        if name not in self.fields and name not in FORMER:
            return str(argument)
        if isinstance(argument.value, bool):
            return f"--{name}" if argument.value else f"--no{name}"
        if argument == Argument(argument.name):
            return f"--{name}"
        value = argument.value
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        if not text.isprintable():  # line breaks, and bytes that are not UTF-8
            text = repr(text)[1:-1]
        return f"--{name}={text}"

    def help(self) -> str:
        """What `--help` prints: usage, examples, and the flags by group."""
        card = "[--config=NAME] " if self.has_cards else ""
        usage = f"{command(self.name)} {card}[--flagfile=FILE] [--FLAG=VALUE ...]"
        lines = [f"usage: {usage}", ""]
        lines += [self.purpose, "", "Examples:", *(f"  {example}" for example in self.examples)]
        groups: dict[str, list[Field]] = {}
        for field in self.fields.values():
            groups.setdefault(field.group, []).append(field)
        for group, fields in groups.items():
            lines += ["", f"{group}:"]
            for field in fields:
                lines += _help_lines(field, self.remarks.get(field.name))
        lines += ["", "Also:"]
        if self.has_cards:
            lines += ["  --config=NAME|FILE|list"]
            lines += ["      Read flags from a card that comes with the program; later flags"]
            lines += ["      take precedence. list: print the cards."]
        lines += ["  --flagfile=FILE"]
        lines += ["      Read flags from a file, one per line; later flags take precedence."]
        lines += ["  --version", "      Print the version."]
        return "\n".join(lines)


# Arguments of the library whose flag has another name.
FLAG_NAMES = {
    "rate": "bank_rate",
    "search": "neighbour_search",
    "features": "discovery_features",
}


# For programs that lack that flag but have another one for the same purpose.
OTHER_NAMES = {"init": "model"}


def _define(field: Field, values: flags.FlagValues) -> None:
    details = field.details
    if field.kind is bool:
        flags.DEFINE_boolean(field.name, field.default, details.help, flag_values=values)
        return
    flags.DEFINE(
        _Parser(field), field.name, field.default, details.help, flag_values=values,
        serializer=flags.ArgumentSerializer(),
    )  # fmt: skip


class _Parser(flags.ArgumentParser):
    """Parses the values of one field, with the checks of its settings."""

    def __init__(self, field: Field):
        self.field = field
        self.syntactic_help = ""

    def parse(self, argument: Any) -> Any:
        """The value of a flag's text; if it is invalid, raises the error that absl expects."""
        if not isinstance(argument, str):
            return argument
        if self.field.kind is str:
            argument = os.path.expanduser(argument)  # shells expand `~` only first in a word
        try:
            return parse(self.field, argument)
        except SettingError as error:  # absl puts the flag before the message
            raise ValueError("".join(map(str, error.parts[1:])).strip(" .")) from error

    def flag_type(self) -> str:
        """The name of the type, as absl shows it."""
        return self.field.kind.__name__


def _end(text: str) -> NoReturn:
    """Prints the text that was asked for and ends the program with status 0."""
    print(text, flush=True)
    sys.exit(0)


def _with_card_files(argv: Sequence[str]) -> Iterator[str]:
    """The words with each `--config` replaced by its card's flagfile; `list` ends the program."""
    words = iter(argv)
    for word in words:
        name, is_equal, value = word.partition("=")
        if name not in ("--config", "-config"):
            yield word
            continue
        value = value if is_equal else next(words, "")
        if value == "list":
            _end(describe_cards())
        yield f"--flagfile={card(value)}"


def _flagfiles(argv: Sequence[str]) -> str:
    return " ".join(word for word in argv if "flagfile" in word)


def _expanded(argv: Iterable[str]) -> Iterator[str]:
    """The words with `~` expanded in the names of flagfiles."""
    is_flagfile = False
    for word in argv:
        name, is_equal, value = word.partition("=")
        if name.lstrip("-") == "flagfile" and is_equal:
            yield f"{name}={os.path.expanduser(value)}"
        else:
            yield os.path.expanduser(word) if is_flagfile else word
        is_flagfile = word in ("--flagfile", "-flagfile")


def _without_byte_order_marks(words: Iterable[str]) -> Iterator[str]:
    """The words without byte-order marks; a marked line that is empty or a comment is dropped."""
    for word in words:
        text = word.removeprefix("\ufeff")
        if text == word:
            yield word
        elif text.strip() and not text.startswith(("#", "//")):
            yield text.strip()


def _help_lines(field: Field, remark: str | None) -> list[str]:
    if field.kind is bool:
        head = f"  --[no]{field.name}"
    elif field.details.choices:
        head = f"  --{field.name}={'|'.join(field.details.choices)}"
    else:
        head = f"  --{field.name}={field.kind.__name__.upper().replace('STR', 'TEXT')}"
        head += ",..." if field.is_list else ""
    default = field.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    remarks = [] if default in (None, "", False) else [f"default: {default}"]
    if field.details.range is not None:
        remarks.append(str(field.details.range))
    remarks += [remark] if remark else []
    text = inspect.cleandoc(field.details.help)
    text += f" ({'; '.join(remarks)})" if remarks else ""
    return [
        *textwrap.wrap(head, WIDTH, break_on_hyphens=False, subsequent_indent=" " * 6),
        *textwrap.wrap(text, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]
