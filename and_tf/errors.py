"""Errors that a user can fix, all of which derive from `UserError`.

The programs report these, `OSError` and running out of memory in one line and end with status 2.
Any other exception is a bug and keeps its traceback.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

NAME_ALONE = object()


class Argument(NamedTuple):
    """An argument named in a message, so that the programs can write its flag instead."""

    name: str
    value: Any = NAME_ALONE

    def __str__(self) -> str:
        if self.value is NAME_ALONE:
            return self.name
        return f"{self.name}={self.value!r}"


class UserError(ValueError):
    """Something that the user passed or has is invalid; the message names it and the remedy.

    Args:
        *parts: of the message, concatenated as they are: text, and an `Argument`, with or without
            its value, for each argument that the message names.

    Example:

    >>> raise UserError(Argument("batch_size", 128), " exceeds the 60 images: lower it.")
    """

    def __init__(self, *parts: object):
        self.parts = parts
        super().__init__(self.message(str))

    def message(self, name_argument: Callable[[Argument], str]) -> str:
        """The message, with each argument formatted by `name_argument`."""
        return "".join(
            name_argument(part) if isinstance(part, Argument) else str(part) for part in self.parts
        )

    def renamed(self, names: Mapping[str, str]) -> Self:
        """The same error with other names for its arguments, as the data of an evaluation needs."""
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
    """A file, folder, split or run that the user named does not exist."""


class MissingPackage(UserError, ImportError):
    """An optional package is not installed; the message contains the command that installs it."""


class BrokenImage(UserError):
    """An image cannot be decoded; the first part of the message says which and why."""

    def with_remedy(self, *parts: object) -> Self:
        """The same error with another remedy, for where the original one is not possible."""
        return type(self)(self.parts[0], *parts)


class ImageChanged(UserError):
    """An image has changed since the run first read it."""


class Unreachable(UserError, OSError):
    """A disk is unreachable, and has been for as long as it is worth waiting."""


class BrokenFile(UserError):
    """A file of a run, a data set or an export cannot be read, or its contents are invalid."""


class NoBoxes(UserError):
    """A data set has no bounding boxes to which images could be cropped."""


class WorkerLost(UserError):
    """Another of the processes that train together has ended, so this one cannot continue."""


class StepNotFinite(UserError):
    """The loss or a gradient of a training step is NaN or infinite; the step was not applied."""


class Stopped(Exception):
    """Long work ended early because a stop was requested: neither an error nor a result.

    The code that raises it leaves nothing half done, so the work can be repeated from its start.
    """
