"""Options of the methods on a memory bank, beyond the paper; all are off by default."""

import dataclasses

from and_tf.settings import Settings, between, setting


@dataclasses.dataclass(frozen=True)
class BankOptions(Settings):
    """Options on the bank, not in the paper."""

    views: int = setting(
        1,
        "Augmented views of each image in a step: the loss is their mean, and the bank is updated "
        "once, by their mean embedding.",
        between(1, 2),
    )
