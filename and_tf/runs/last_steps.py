"""The last step, epoch and round of a run: its checkpoints may claim no later one."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from and_tf.runs import schema

# Of flags.cfg: from them follows how many steps a run has, whatever its method.
_PLAN = ("rounds", "epochs_per_round", "first_round_epochs", "batch_size")


class Last(NamedTuple):
    """The last of what a run, or one of its rounds, comes to; a method may take fewer steps."""

    step: int
    epoch: int
    round: int

    def fault(self, metadata: Mapping[str, Any]) -> str:
        """What the metadata of a checkpoint tell that lies further on, or does not fit together;
        empty if all is well."""
        for name, last in self._asdict().items():
            if metadata.get(name, 0) > last:
                return f"it is of {name} {metadata[name]}, and the run has {last}"
        step, epoch = metadata["step"], metadata.get("epoch")  # the latter of a finished epoch
        if epoch and step not in (0, epoch * self.step // self.epoch):  # 0 where none is taken
            return f"epoch {epoch} does not end with its step, {step}"
        return ""


def last_steps(
    flags: Mapping[str, str], metadata: Mapping[str, Any], number: int | None = None
) -> Last | None:
    """The last step, epoch and round of a run.

    Args:
        flags: texts of flags.cfg by the names of the settings.
        metadata: of run.json.
        number: of a round, for what is known at its end; None for the end of the run.

    Returns:
        None where they do not tell, as of an earlier version.
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
