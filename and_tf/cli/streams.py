"""Standard streams that no program depends on: what cannot be written there is dropped.

A log's disk fills up, `tee` ends with the same Ctrl-C, `head` has read enough, a terminal is
closed, or a stream was closed from the start: none of it may end the work that is told of.
"""

import contextlib
import errno
import io
import os
import select
import sys

NULL_FOR = (0, 1, 2)  # a file that is opened later must not get one of these numbers
GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # no reader: a pipe, a terminal, a closed stream


class _Dropping(io.FileIO):
    """A stream that drops what it cannot write; if a disk is full, it warns on the other stream."""

    def __init__(self, descriptor: int, other: int):
        super().__init__(descriptor, "w", closefd=False)
        self.other = other
        self.is_told = False

    def write(self, data) -> int:
        """Writes part of the data or drops all of it; returns the number of bytes handled."""
        try:
            while (written := super().write(data)) is None:  # another process made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            self._tell(error)
            return len(data)

    def _tell(self, error: OSError) -> None:
        if self.is_told or error.errno in GONE:
            return
        self.is_told = True
        name = "standard output" if self.other == 2 else "messages"
        text = (
            f"Warning: {name} cannot be written ({error.strerror}); what is lost cannot be "
            "recovered.\n"
        )
        with contextlib.suppress(OSError):
            os.write(self.other, text.encode())


def drop_what_cannot_be_written() -> None:
    """Makes this process's standard streams drop what they cannot write, from now on.

    Streams that were replaced in Python, as notebooks do, stay as they are.
    """
    if os.name == "posix":
        _open_the_closed()
        for name, descriptor, other in (("stdout", 1, 2), ("stderr", 2, 1)):
            if getattr(sys, name) is getattr(sys, f"__{name}__"):
                _replace(name, descriptor, other)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8


def _open_the_closed() -> None:
    for descriptor in NULL_FOR:
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(null, True)


def _replace(name: str, descriptor: int, other: int) -> None:
    before = getattr(sys, name)
    raw = _Dropping(descriptor, other)
    if before is None:  # closed from the start
        stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)
    else:
        with contextlib.suppress(OSError):
            before.flush()
        is_unbuffered = isinstance(before.buffer, io.RawIOBase)
        stream = io.TextIOWrapper(
            raw if is_unbuffered else io.BufferedWriter(raw),  # type: ignore[arg-type]
            before.encoding,
            before.errors,
            line_buffering=before.line_buffering,
            write_through=before.write_through,
        )
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)
