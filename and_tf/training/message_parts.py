"""The parts of a `UserError` on their way to another process, which spells arguments as its own."""

from collections.abc import Iterable
from typing import Any

from and_tf.errors import NAME_ALONE, Argument


def packed(parts: Iterable[object]) -> list[Any]:
    """The parts of a message as what JSON can hold."""
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
    """The parts that `packed` was given; of anything else, a text of it."""
    if not isinstance(parts, list):
        return (str(parts),)
    return tuple(
        Argument(part["argument"], part.get("value", NAME_ALONE))
        if isinstance(part, dict) and isinstance(part.get("argument"), str)
        else str(part)
        for part in parts
    )
