"""What a user can mend: errors of this package's own, which derive from `UserError`.

The programs turn these, `OSError` and a lack of memory into one line and exit status 2. Any other
exception is a bug and keeps its traceback.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

NAME_ALONE = object()


class Argument(NamedTuple):
    """An argument that a message names, so that the programs can name the flag instead."""

    name: str
    value: Any = NAME_ALONE

    def __str__(self) -> str:
        if self.value is NAME_ALONE:
            return self.name
        return f"{self.name}={self.value!r}"


class UserError(ValueError):
    """Something that the user gave or has does not fit; the message names it and the remedy.

    Args:
        *parts: of the message, put together as they are: text, and each argument that the message
            names as an `Argument`, with its value or alone.

    Example:

    >>> raise UserError(Argument("batch_size", 128), " exceeds the 60 images: lower it.")
    """

    def __init__(self, *parts: object):
        self.parts = parts
        super().__init__(self.message(str))

    def message(self, name_argument: Callable[[Argument], str]) -> str:
        """The message, with each argument as `name_argument` writes it."""
        return "".join(
            name_argument(part) if isinstance(part, Argument) else str(part) for part in self.parts
        )

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same error, where an argument has another name, as the data of an evaluation has."""
        parts = (
            Argument(names.get(part.name, part.name), part.value)
            if isinstance(part, Argument)
            else part
            for part in self.parts
        )
        return type(self)(*parts)

    def __reduce__(self):
        return type(self), self.parts


class NotFound(UserError, FileNotFoundError):
    """A file, folder, split or run that was named does not exist."""


class MissingPackage(UserError, ImportError):
    """An optional package is not installed; the message holds the install line."""


class BrokenImage(UserError):
    """An image cannot be decoded; the first part of the message says which and why."""

    def with_remedy(self, *parts: object) -> Self:
        """The same error with another remedy, where the one that it names is not possible."""
        return type(self)(self.parts[0], *parts)


class ImageChanged(UserError):
    """An image is another one than when the run began to read it."""


class Unreachable(UserError, OSError):
    """A disk is away, and was for as long as is worth waiting for."""


class BrokenFile(UserError):
    """A file of a run, a data set or an export cannot be read, or does not hold what it should."""


class NoBoxes(UserError):
    """A data set has no bounding boxes that images could be cropped to."""


class WorkerLost(UserError):
    """Another of the processes that train together has ended, so that this one cannot go on."""


class StepNotFinite(UserError):
    """The loss or a gradient of a training step is NaN or infinite; nothing of it was applied."""


class Stopped(Exception):
    """Long work ended early because a stop was asked for: not an error, and not a result.

    Whoever raises it leaves nothing half done, so that the work can be repeated from its start.
    """
