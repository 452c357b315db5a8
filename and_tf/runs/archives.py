"""Zip archives, as of .npz and .keras files, that may come from elsewhere."""

import zipfile
from pathlib import Path

ALWAYS_BYTES = 1 << 30  # an archive may unpack to so much, however small it is
HIGHEST_RATIO = 20  # names of files pack to a tenth, arrays hardly


def check_unpacked_size(path: Path, always_bytes: int = ALWAYS_BYTES) -> None:
    """Refuses an archive that would take far more memory than its size tells.

    Args:
        path: of the archive.
        always_bytes: that it may unpack to in any case.

    Raises:
        ValueError: if it does.
        OSError, zipfile.BadZipFile: if it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(always_bytes, HIGHEST_RATIO * path.stat().st_size):
        raise ValueError(f"it unpacks to {unpacked / 1e9:,.1f} GB")
