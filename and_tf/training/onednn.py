"""oneDNN, which rounds differently from TensorFlow's own kernels: a run keeps to one of them."""

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
    """Warns where a run goes on with another choice of oneDNN than it began with.

    Args:
        run: that was begun.
        deterministic: refuse it, since the result would be another one.

    Raises:
        UserError: names the remedy.
    """
    known = run.read_metadata().get("onednn") if run.metadata.is_file() else None
    now = onednn()
    if known is None or known == now:  # versions before did not keep it
        return
    wanted = next((value for value, name in VALUES.items() if name == known), "")
    remedy = f"set {VARIABLE}={wanted}" if wanted else f"leave {VARIABLE} as it was"
    reason = f"the run in {run.path} began with oneDNN {known}, and now it is {now}"
    if deterministic:
        raise UserError(f"{reason}, so that its result would be another one: {remedy}.")
    logger.warning("%s, which rounds otherwise: to go on as it began, %s.", reason, remedy)
