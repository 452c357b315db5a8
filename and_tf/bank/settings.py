"""How the memory bank is compared with and updated."""

import dataclasses

from and_tf.settings import Settings, above, at_least, between, setting


@dataclasses.dataclass(frozen=True)
class BankSettings(Settings):
    """Memory bank."""

    temperature: float = setting(0.1, "Softmax temperature.", above(0))
    bank_rate: float = setting(
        0.5, "Fraction of the new embedding in a bank update.", between(0, 1, True)
    )
    logits_mb: int = setting(
        64,
        "Similarities of a step to the whole bank are held at once up to this size (and their "
        "exponentials), else in blocks.",
        at_least(1),
        moves_rounding=True,
    )
