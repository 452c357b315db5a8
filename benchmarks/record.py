"""Results of the parts of a table, in a JSON file that is written after each part."""

import json
from pathlib import Path
from typing import Any

from and_tf.runs.atomic_files import replace_file


class Record:
    """Results by part of a table.

    Args:
        path: of the JSON file, which is read if it exists.

    Attributes:
        known: {part: {name: value}}.
    """

    def __init__(self, path: Path):
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.known = json.loads(path.read_text())

    def keep(self, part: str, **found: Any) -> None:
        """Adds results of a part and writes the file."""
        self.known[part] = self.known.get(part, {}) | found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, json.dumps(self.known, indent=2) + "\n")
