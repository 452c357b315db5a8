"""The folder of a run with nothing but its encoder, in several states."""

import json
from pathlib import Path

import numpy as np

from and_tf import encoders
from and_tf.runs import checkpoint

FLAGS = "--encoder=resnet_small\n--image_size=8\n--embedding_dim=4\n"


def make_encoder_run(folder: Path) -> dict:
    """A run whose checkpoints last, best and round_0 hold other weights; gives the encoders."""
    folder.mkdir()
    (folder / "flags.cfg").write_text(FLAGS)
    (folder / "run.json").write_text(json.dumps({"mean": [120.0] * 3, "std": [60.0] * 3}))
    made = {}
    states = {"last": "checkpoints/last", "best": "checkpoints/best", "round_0": "rounds/round_0"}
    for seed, (name, place) in enumerate(states.items()):
        encoder = encoders.build_encoder(
            "resnet_small", (8, 8, 3), 4, (120.0,) * 3, (60.0,) * 3, seed=seed
        )
        arrays = {
            key: np.array(variable.numpy())
            for key, variable in checkpoint.encoder_state(encoder).items()
        }
        checkpoint.save(folder / f"{place}.npz", arrays, {"step": seed + 1})
        made[name] = encoder
    return made
