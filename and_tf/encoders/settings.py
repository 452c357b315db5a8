"""Which encoder a run trains, and from which weights it starts."""

import dataclasses
import os

from and_tf.encoders import ENCODERS
from and_tf.errors import Argument
from and_tf.settings import SettingError, Settings, between, setting

INIT_RATE = 0.1  # for a run that starts from weights, so as not to destroy them at once
OF_INIT = "init"  # the network is the one that the run starts from


@dataclasses.dataclass(frozen=True)
class EncoderSettings(Settings):
    """Encoder."""

    encoder: str = setting(
        None,
        "Network; by default resnet18, or that of the weights the run starts from (init).",
        choices=(*ENCODERS, OF_INIT),
    )
    embedding_dim: int | None = setting(
        None,
        "Length D of an embedding; by default 128, or that of the last features of init's network, "
        "which get a new last layer only if this is given.",
        between(2, 2**16),
    )
    init: str = setting(
        "",
        "Weights to start from: folder of a run, .keras file, network of Keras Applications "
        "(MobileNetV2, or MobileNetV2:FILE of weights), or hub:PRESET of keras-hub. Nothing is "
        "downloaded.",
    )
    freeze: tuple[str, ...] = setting(
        (),
        "Parts that are not trained, such as stem,stage1, or all; batch_norm: every BatchNorm.",
    )
    init_rate: float = setting(
        None,
        "Learning rate of the layers loaded from init, as a factor; by default 0.1.",
        between(0, 1, True),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # Settings that are not given follow from init; a run keeps the resulting values.
        if self.encoder is None:
            object.__setattr__(self, "encoder", OF_INIT if self.init else "resnet18")
        if self.encoder == OF_INIT and not self.init:
            raise SettingError(
                Argument("encoder", OF_INIT), " is the network of ", Argument("init"), ": give it."
            )
        if self.embedding_dim is None and self.encoder != OF_INIT:
            object.__setattr__(self, "embedding_dim", 128)
        if self.init_rate is None:
            object.__setattr__(self, "init_rate", INIT_RATE if self.init else 1.0)
        if not self.init and self.init_rate != 1:
            raise SettingError(
                Argument("init_rate", self.init_rate), " is for layers loaded from ",
                Argument("init"), ": give it, or leave both out.",
            )  # fmt: skip

    def absolute(self) -> "EncoderSettings":
        """The same settings with an absolute path of init, so that it is found from any folder."""
        kind, colon, file = self.init.partition(":")
        path = os.path.abspath(os.path.expanduser(self.init))
        if self.init and os.path.exists(path):
            return dataclasses.replace(self, init=path)
        path = os.path.abspath(os.path.expanduser(file))
        if file and os.path.exists(path):
            return dataclasses.replace(self, init=f"{kind}{colon}{path}")
        return self

    @property
    def is_of_init(self) -> bool:
        """Whether the network is the one of the weights that the run starts from."""
        return self.encoder == OF_INIT
