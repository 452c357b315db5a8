"""A run's metrics.jsonl: one line with a JSON object for each epoch and each evaluation."""

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from and_tf.errors import BrokenFile
from and_tf.runs import schema
from and_tf.runs.atomic_files import sync_descriptor

MOST_OF_METRICS = 1 << 30  # bytes; enough for two million epochs


def append(path: Path, records: Sequence[dict]) -> None:
    """Adds lines, all or none.

    Raises:
        OSError: if they cannot be written, such as on a full disk.
    """
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    with open(path, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            sync_descriptor(file.fileno())
        except OSError:
            file.truncate(end)  # or the next line would follow half a line
            raise


def read(path: Path) -> list[dict[str, Any]]:
    """Reads the records; a last line that was truncated by a kill is left out.

    Raises:
        BrokenFile: if another line is corrupt, since a continued run would drop what follows it;
            or if it is not a regular file, or is larger than `MOST_OF_METRICS`.
    """
    try:
        is_there = path.exists()
        content = schema.read_regular(path, MOST_OF_METRICS) if is_there else b""
    except ValueError as error:
        raise BrokenFile(f"{path} cannot be read ({error}): restore it.") from error
    lines = content.splitlines()
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = schema.parse(line)
            fault = schema.RECORD.fault(record)
        except ValueError as error:
            if number == len(lines) and not content.endswith(b"\n"):
                break
            fault = str(error)
        if fault:
            raise BrokenFile(
                f"{path} is corrupt in line {number} ({fault}): restore it, or remove that line."
            )
        records.append(record)
    return records
