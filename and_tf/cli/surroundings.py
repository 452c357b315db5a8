"""Environment variables of other programs: removed before anything reads them."""

import contextlib
import os
import re
from pathlib import Path

from and_tf.errors import UserError

# Of tqdm, scikit-learn, its processes and AutoGraph, which end in a traceback on an invalid value.
# Nothing here needs them.
UNUSED = ("TQDM_", "SKLEARN_", "JOBLIB_", "LOKY_", "AUTOGRAPH_")
# Needed ones. TensorFlow silently ignores an invalid value or aborts, and TFDS refuses it.
WHOLE = "[0-9]{1,9}", "a whole number"
SWITCH = "0|1|true|false", "0 or 1"
SWITCHES = ("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC")
PATTERNS = {
    **dict.fromkeys(SWITCHES, SWITCH),
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), WHOLE),
    **dict.fromkeys(("TFDS_RETRY_TRIES", "TFDS_RETRY_INITIAL_DELAY"), WHOLE),
    "TFDS_RETRY_NOISE": ("[0-9]{1,9}([.][0-9]{0,9})?", "a number"),
}


def check_surroundings() -> None:
    """Removes variables meant for other programs; only programs call this, before their work.

    Raises:
        UserError: if a variable that is needed has an invalid value.
    """
    for name in [name for name in os.environ if name.startswith(UNUSED)]:
        del os.environ[name]
    _leave_out_matplotlibrc()
    for name, (pattern, words) in PATTERNS.items():
        if (value := os.environ.get(name)) and not re.fullmatch(pattern, value):
            raise UserError(f"{name} is {value[:60]!r}, not {words}: correct or unset it.")


def _leave_out_matplotlibrc() -> None:
    """Makes matplotlib use its default settings: the user's file may not even be text."""
    os.environ["MPLBACKEND"] = "agg"  # plots go to files; the user's backend may not exist
    os.environ["MATPLOTLIBRC"] = os.devnull
    if os.path.isfile("matplotlibrc"):  # in the current folder: read before any other
        with contextlib.chdir(Path(__file__).parent), contextlib.suppress(ImportError):
            import matplotlib  # noqa: F401
