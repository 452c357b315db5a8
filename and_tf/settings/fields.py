"""A setting: its default, its help, its valid values, and whether it may change later."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from and_tf.errors import Argument, UserError

METADATA = "setting"
LARGEST_WHOLE = 2**31 - 1  # TensorFlow counts in 32 bits; a setting may have a lower limit


class SettingError(UserError):
    """A setting has an invalid value."""


class Range(NamedTuple):
    """The range of valid numbers of a setting.

    Attributes:
        lowest, highest: the ends of the range.
        is_open: whether `lowest` itself is excluded.
        is_open_above: whether `highest` itself is excluded.
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
    """Numbers from `lowest` to `highest`; an end is excluded if the range is open there."""
    return Range(lowest, highest, is_open, is_open_above)


class Details(NamedTuple):
    """Metadata of a setting, other than its type and default.

    Attributes:
        help: one or two sentences for `--help`.
        range: valid numbers; None for any.
        choices: valid values; empty for any.
        may_change: whether a run can continue with a different value.
        moves_rounding: whether such a change may affect the last digits of a result.
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
        default: the default value; None means "not given".
        help: one or two sentences.
        range: valid numbers; None is always valid, too.
        choices: valid texts; None is always valid, too.
        may_change: whether a run can continue with a different value.
        moves_rounding: whether it can, although the last digits of a result may change; with
            `deterministic` such a change is refused.
    """
    details = Details(help, range, tuple(choices), may_change or moves_rounding, moves_rounding)
    return dataclasses.field(default=default, metadata={METADATA: details})


@dataclasses.dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields are created by `setting`, or are `Settings` themselves.

    The first line of a subclass's docstring is the heading of its group of flags in `--help`.

    Raises:
        SettingError: if a value is invalid; names it and the valid values.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if METADATA in field.metadata:
                check(field.name, getattr(self, field.name), field.metadata[METADATA])


def check(name: str, value: object, details: Details) -> None:
    """Raises a `SettingError` if a value is not valid for a setting."""
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
