"""What a user's environment holds for other programs: left out here, before anything reads it."""

import contextlib
import os
from pathlib import Path

# Read when matplotlib, tqdm and scikit-learn are imported, which end in a traceback where they do
# not take a value. Nothing here needs one.
UNUSED = ("TQDM_", "SKLEARN_")


def leave_out_user_settings() -> None:
    """Leaves out what is meant for other programs; called by programs alone, before their work."""
    for name in [name for name in os.environ if name.startswith(UNUSED)]:
        del os.environ[name]
    _leave_out_matplotlibrc()


def _leave_out_matplotlibrc() -> None:
    """Has matplotlib start from its own settings: a file of the user's may not even be text."""
    os.environ["MPLBACKEND"] = "agg"  # what is drawn goes to files; the user's may not exist
    os.environ["MATPLOTLIBRC"] = os.devnull
    if os.path.isfile("matplotlibrc"):  # in the current folder: read before any other
        with contextlib.chdir(Path(__file__).parent), contextlib.suppress(ImportError):
            import matplotlib  # noqa: F401
