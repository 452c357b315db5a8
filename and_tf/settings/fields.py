"""One setting: its default, its help, what values it takes, whether it may change later."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from and_tf.errors import Argument, UserError

METADATA = "setting"
LARGEST_WHOLE = 2**31 - 1  # TensorFlow counts in 32 bits; a setting may have a lower bound


class SettingError(UserError):
    """A setting has a value that it does not take."""


class Range(NamedTuple):
    """Numbers that a setting takes.

    Attributes:
        lowest, highest: the ends of the range.
        is_open: whether `lowest` itself is left out.
        is_open_above: whether `highest` itself is left out.
    """

    lowest: float = -math.inf
    highest: float = math.inf
    is_open: bool = False
    is_open_above: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        is_above = value > self.lowest if self.is_open else value >= self.lowest
        return is_above and (value < self.highest if self.is_open_above else value <= self.highest)

    def __str__(self) -> str:
        if self.highest == math.inf:
            return f"{'above' if self.is_open else 'at least'} {self.lowest:.10g}"
        if self.is_open:
            end = "below" if self.is_open_above else "at most"
            return f"above {self.lowest:.10g} and {end} {self.highest:.10g}"
        return f"from {self.lowest:.10g} to {self.highest:.10g}"


def at_least(lowest: float) -> Range:
    """Finite numbers from `lowest` on."""
    return Range(lowest)


def above(lowest: float) -> Range:
    """Finite numbers above `lowest`."""
    return Range(lowest, is_open=True)


def between(
    lowest: float, highest: float, is_open: bool = False, is_open_above: bool = False
) -> Range:
    """Numbers from `lowest` to `highest`, each left out where the range is open there."""
    return Range(lowest, highest, is_open, is_open_above)


class Details(NamedTuple):
    """What is written of a setting beside its type and default.

    Attributes:
        help: one or two sentences for `--help`.
        range: numbers that are taken; None for any.
        choices: values that are taken; empty for any.
        may_change: a run is continued although the value differs.
        moves_rounding: of those, it may move the last digits of a result.
    """

    help: str
    range: Range | None = None
    choices: tuple[str, ...] = ()
    may_change: bool = False
    moves_rounding: bool = False


def setting(
    default: Any,
    help: str,
    range: Range | None = None,
    choices: Sequence[str] = (),
    may_change: bool = False,
    moves_rounding: bool = False,
) -> Any:
    """A field of a `Settings` dataclass.

    Args:
        default: its value where none is given; None stands for "not given".
        help: one or two sentences.
        range: the numbers that it takes; None is taken beside them.
        choices: the texts that it takes; None is taken beside them.
        may_change: whether a run is continued although the value differs.
        moves_rounding: whether it may, all the same, move the last digits of a result: with
            `deterministic` such a change is refused.
    """
    details = Details(help, range, tuple(choices), may_change or moves_rounding, moves_rounding)
    return dataclasses.field(default=default, metadata={METADATA: details})


@dataclasses.dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields are made by `setting`, or are `Settings` themselves.

    The first line of a subclass's docstring heads its group of flags in `--help`.

    Raises:
        SettingError: if a value is not taken; names it, and what is taken.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if METADATA in field.metadata:
                check(field.name, getattr(self, field.name), field.metadata[METADATA])


def check(name: str, value: object, details: Details) -> None:
    """Raises a `SettingError` if a setting does not take a value."""
    if value is None:
        return
    if details.choices and value not in details.choices:
        accepted = ", ".join(details.choices)
        raise SettingError(Argument(name, value), f" must be one of {accepted}.")
    if details.range is None:
        return
    for number in value if isinstance(value, tuple) else (value,):
        taken = details.range
        if isinstance(number, int) and number > LARGEST_WHOLE and taken.highest == math.inf:
            taken = taken._replace(highest=LARGEST_WHOLE)
        if number not in taken:
            each = "each value " if isinstance(value, tuple) else ""
            raise SettingError(Argument(name, value), f": {each}must be {taken}.")
