"""oneDNN, which rounds differently from TensorFlow's own kernels: a run should not mix the two."""

import logging
import os

from and_tf.errors import UserError
from and_tf.runs.workdir import Workdir

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"  # this package sets it to 1 unless a user has set it
VALUES = {"0": "off", "false": "off", "1": "on", "true": "on"}

logger = logging.getLogger(__name__)


def onednn() -> str:
    """Whether TensorFlow uses oneDNN: `on`, `off`, or `default`, which depends on the machine."""
    return VALUES.get(os.environ.get(VARIABLE, ""), "default")


def check_onednn(run: Workdir, deterministic: bool) -> None:
    """Warns if a run continues with a different setting of oneDNN than it began with.

    Args:
        run: the run that was begun.
        deterministic: raise an error instead, since the result would differ.

    Raises:
        UserError: if `deterministic` and the setting differs.
    """
    known = run.read_metadata().get("onednn") if run.metadata.is_file() else None
    now = onednn()
    if known is None or known == now:  # older versions did not store it
        return
    wanted = next((value for value, name in VALUES.items() if name == known), "")
    remedy = f"set {VARIABLE}={wanted}" if wanted else f"leave {VARIABLE} as it was"
    reason = f"the run in {run.path} began with oneDNN {known}, and now it is {now}"
    if deterministic:
        raise UserError(f"{reason}, so its result would differ: {remedy}.")
    logger.warning("%s, which rounds differently: to continue as it began, %s.", reason, remedy)
