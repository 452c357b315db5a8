"""Settings that select a run and one of its checkpoints."""

import dataclasses

from and_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class RunChoice(Settings):
    """Run."""

    workdir: str = setting("", "Folder of the run; by default the newest under runs/.")
    checkpoint: str = setting(
        "last",
        "State of the encoder: last; best, by kNN of held-out training images; or round_N, the "
        "end of a round.",
    )
