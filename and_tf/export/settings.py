"""What is exported, and where to."""

import dataclasses

from and_tf.encoders.stages import AUTO_LAYER, LAYER_HELP
from and_tf.export.formats import FORMATS
from and_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class ExportSettings(Settings):
    """Export."""

    format: str = setting("savedmodel", "What to write.", choices=(*FORMATS, "all"))
    layer: str = setting(AUTO_LAYER, LAYER_HELP)
    output: str = setting("", "Where to write it; by default export/ in the run.")
    images: str = setting(
        "",
        "Photos to take the ranges of int8 from and to compare on; by default the training images "
        "of the run.",
    )
