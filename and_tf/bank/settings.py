"""How embeddings are compared with the memory bank, and how it is updated."""

import dataclasses

from and_tf.errors import Argument
from and_tf.settings import SettingError, Settings, above, at_least, between, setting

DTYPES = ("float32", "float16")

# In float16 a row stops moving towards its embedding once an update adds less than half the spacing
# of float16 values, 2**-11 of the value. The remaining error is 2**-11 / rate of the value: 1 % at
# this rate.
LOWEST_RATE_FLOAT16 = 0.05


@dataclasses.dataclass(frozen=True)
class BankSettings(Settings):
    """Memory bank."""

    temperature: float = setting(0.1, "Softmax temperature.", above(0))
    bank_rate: float = setting(
        0.5, "Fraction of the new embedding in a bank update.", between(0, 1, True)
    )
    bank_dtype: str = setting(
        "float32",
        "How the bank is stored: float16 halves its memory and its part of a checkpoint; updates "
        "and loss are computed in float32.",
        choices=DTYPES,
    )
    shard_bank: bool = setting(
        False,
        "Each of several devices keeps the rows of only some of the images; otherwise of all.",
        moves_rounding=True,
    )
    logits_mb: int = setting(
        64,
        "Up to this size the similarities of a step to the whole bank (and their exponentials) are "
        "held at once; larger ones are computed in blocks.",
        at_least(1),
        moves_rounding=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bank_dtype == "float16" and self.bank_rate < LOWEST_RATE_FLOAT16:
            raise SettingError(
                Argument("bank_dtype", "float16"), " rounds away what ",
                Argument("bank_rate", self.bank_rate), " adds to a row: use float32, or a rate of "
                f"at least {LOWEST_RATE_FLOAT16:g}.",
            )  # fmt: skip
