"""Sends the parts of a `UserError` to another process, which formats arguments in its own way."""

from collections.abc import Iterable
from typing import Any

from and_tf.errors import NAME_ALONE, Argument


def packed(parts: Iterable[object]) -> list[Any]:
    """The parts of a message as values that JSON can represent."""
    return [_packed_argument(p) if isinstance(p, Argument) else str(p) for p in parts]


def _packed_argument(argument: Argument) -> dict[str, Any]:
    if argument.value is NAME_ALONE:
        return {"argument": argument.name}
    return {"argument": argument.name, "value": _plain(argument.value)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def unpacked(parts: Any) -> tuple[object, ...]:
    """The parts that were given to `packed`; anything else becomes text."""
    if not isinstance(parts, list):
        return (str(parts),)
    return tuple(
        Argument(part["argument"], part.get("value", NAME_ALONE))
        if isinstance(part, dict) and isinstance(part.get("argument"), str)
        else str(part)
        for part in parts
    )
