"""Which encoder a run trains."""

import dataclasses

from and_tf.encoders import ENCODERS
from and_tf.settings import Settings, at_least, setting


@dataclasses.dataclass(frozen=True)
class EncoderSettings(Settings):
    """Encoder."""

    encoder: str = setting("resnet18", "Network.", choices=tuple(ENCODERS))
    embedding_dim: int = setting(128, "Length D of an embedding.", at_least(2))
