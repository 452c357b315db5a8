"""Settings as flat names and values, as in flags and in a run's flags.cfg."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from and_tf.errors import Argument
from and_tf.settings.fields import METADATA, Details, SettingError, Settings

S = TypeVar("S", bound=Settings)


class Field(NamedTuple):
    """A setting as a flag sees it.

    Attributes:
        name: of the field and the flag.
        kind: int, float, bool or str; the type of each value if `is_list`.
        is_list: whether it is a tuple of values, written 1,5,20.
        default: None if the setting need not be given.
        details: help, range and choices.
        group: first line of the docstring of its class.
    """

    name: str
    kind: type
    is_list: bool
    default: Any
    details: Details
    group: str


def fields_of(settings: Settings | type[Settings]) -> Iterator[Field]:
    """All fields of settings or their class, with those of nested settings in their place."""
    cls = settings if isinstance(settings, type) else type(settings)
    hints = _hints(cls)
    for field in dataclasses.fields(cls):
        if METADATA in field.metadata:
            kind, is_list = _kind(hints[field.name])
            group = (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")
            yield Field(field.name, kind, is_list, field.default, field.metadata[METADATA], group)
        else:  # in an instance, nested settings may be of a subclass
            nested = hints[field.name] if settings is cls else getattr(settings, field.name)
            yield from fields_of(nested)


def _hints(cls: type[Settings]) -> dict[str, Any]:
    """The types of a class's fields, which Python evaluates from text; cached."""
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


_HINTS: dict[Any, dict[str, Any]] = {}


def _kind(hint: Any) -> tuple[type, bool]:
    """The type of a value, and whether there are several, as in `tuple[int, ...] | None`."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def flat_values(settings: Settings) -> dict[str, Any]:
    """Name and value of every field, with those of nested settings in their place."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        values |= flat_values(value) if isinstance(value, Settings) else {field.name: value}
    return values


def defaults(cls: type[Settings]) -> dict[str, Any]:
    """Name and default of every field."""
    return {field.name: field.default for field in fields_of(cls)}


def build(cls: type[S], values: Mapping[str, Any]) -> S:
    """Builds settings from flat values; unknown names are ignored, missing ones take their default.

    Raises:
        SettingError: if a value is invalid.
    """
    hints = _hints(cls)
    arguments = {}
    for field in dataclasses.fields(cls):
        if METADATA not in field.metadata:
            arguments[field.name] = build(hints[field.name], values)
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return cls(**arguments)


def parse_all(
    settings: Sequence[Settings | type[Settings]], texts: Mapping[str, str]
) -> dict[str, Any]:
    """Parses the texts whose names are fields of the settings; others are left out.

    Raises:
        SettingError: if a text cannot be parsed as the type of its field.
    """
    fields = {field.name: field for cls in settings for field in fields_of(cls)}
    return {name: parse(fields[name], text) for name, text in texts.items() if name in fields}


def parse(field: Field, text: str) -> Any:
    """Parses the text of a field's value, as on a command line or in flags.cfg.

    Raises:
        SettingError: if it has the wrong type; ranges are checked when the settings are built.
    """
    if field.is_list:
        parts = [part.strip() for part in text.split(",")] if text else []
        return tuple(dict.fromkeys(_parse_one(field, part) for part in parts))
    if field.default is None and text == "" and field.kind is not str:
        return None
    return _parse_one(field, text)


def _parse_one(field: Field, text: str) -> Any:
    if field.kind is bool:
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.lower() not in known:
            raise SettingError(Argument(field.name, text), " must be true or false.")
        return known[text.lower()]
    try:
        return field.kind(text)
    except ValueError as error:
        kind = {int: "a whole number", float: "a number"}[field.kind]
        many = f"{kind.removeprefix('a ')}s separated by commas, such as 1,5"
        expected = many if field.is_list else kind
        raise SettingError(Argument(field.name, text), f" must be {expected}.") from error


def differences(old: Settings, new: Settings, is_deterministic: bool = False) -> list[str]:
    """Names of the settings that change a result and differ.

    Args:
        old, new: of the same class, or with nested settings of different classes.
        is_deterministic: whether to include those that only affect the last digits of a result.
    """
    before, after = flat_values(old), flat_values(new)
    names = of_result(new, is_deterministic)
    return [name for name in names if before.get(name) != after[name]]


def of_result(settings: Settings, is_deterministic: bool = False) -> list[str]:
    """Names of the settings that change a result; arguments as in `differences`."""
    free = set()
    for field in fields_of(settings):
        if field.details.may_change and not (is_deterministic and field.details.moves_rounding):
            free.add(field.name)
    return [name for name in flat_values(settings) if name not in free]
