"""The encoder of a run at the end of each round."""

from collections.abc import Iterator

import keras

from and_tf.report.record import RoundEnd
from and_tf.runs import checkpoint
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir


def encoders_by_round(
    run: Workdir, round_ends: list[RoundEnd]
) -> Iterator[tuple[int, keras.Model]]:
    """Number and encoder of each round: a single model, whose weights change on iteration.

    Raises:
        NotFound: if the file of a round is missing.
        BrokenFile: if a file is corrupt or of another model.
    """
    encoder: keras.Model | None = None
    for end in round_ends:
        name = f"round_{end.number}"
        if encoder is None:
            encoder = restore_encoder(run, name).encoder
        else:
            arrays, _, path = run.load_checkpoint(name, checkpoint.ENCODER)
            checkpoint.restore(checkpoint.encoder_state(encoder), arrays, path)
        yield end.number, encoder
