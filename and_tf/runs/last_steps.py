"""The last step, epoch and round of a run, which its checkpoints cannot exceed."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from and_tf.runs import schema

# Settings in flags.cfg that determine how many steps a run has, whatever its method.
_PLAN = ("rounds", "epochs_per_round", "first_round_epochs", "batch_size")


class Last(NamedTuple):
    """The last step, epoch and round of a run or of a round; a method may take fewer steps."""

    step: int
    epoch: int
    round: int

    def fault(self, metadata: Mapping[str, Any]) -> str:
        """Describes what in a checkpoint's metadata is later than this, or inconsistent.

        Empty if nothing is.
        """
        for name, last in self._asdict().items():
            if metadata.get(name, 0) > last:
                return f"it is of {name} {metadata[name]}, and the run has {last}"
        step, epoch = metadata["step"], metadata.get("epoch")  # `epoch` only if one is finished
        if epoch and step not in (0, epoch * self.step // self.epoch):  # 0 if no step is taken
            return f"epoch {epoch} does not end with its step, {step}"
        return ""


def last_steps(
    flags: Mapping[str, str], metadata: Mapping[str, Any], number: int | None = None
) -> Last | None:
    """The last step, epoch and round of a run.

    Args:
        flags: texts of flags.cfg by the names of the settings.
        metadata: of run.json.
        number: of the round for whose end to compute them; None for the end of the run.

    Returns:
        None if `flags` and `metadata` do not determine them, as in earlier versions.
    """
    try:
        rounds, each, first, batch = (int(float(flags[name])) for name in _PLAN)
        images = metadata["images"]
    except (KeyError, ValueError, OverflowError):
        return None
    if min(rounds, each, first) < 0 or max(rounds, each, first) > schema.MOST or batch < 1:
        return None
    until = rounds if number is None else min(number, rounds)
    epochs = (first or each) + until * each
    return Last(math.ceil(images / batch) * epochs, epochs, until)
