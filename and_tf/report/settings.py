"""Settings of report.py."""

import dataclasses
from pathlib import Path

from and_tf.errors import Argument
from and_tf.runs.places import expanded
from and_tf.settings import SettingError, Settings, at_least, setting


@dataclasses.dataclass(frozen=True)
class ReportSettings(Settings):
    """Report."""

    output: str = setting("", "The page; by default report.html in the run.")
    data: str | None = setting(None, "The training images; by default where the run has them.")
    data_dir: str | None = setting(None, "Folder of prepared TFDS data sets.")
    images: int = setting(
        5000,
        "Training images looked at, evenly spread over those of the run.",
        at_least(2),
    )
    queries: int = setting(2000, "Held-out images looked at.", at_least(1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output and not self.output.lower().endswith((".html", ".htm")):
            raise SettingError(
                Argument("output", self.output), " must end in .html: it is a page, and must not "
                "replace another file.",
            )  # fmt: skip

    def page_path(self, run: Path) -> Path:
        """Where the page of the run in folder `run` is written."""
        return expanded(self.output) if self.output else run / "report.html"
