"""At 96 px a run, and what is measured of it, do not depend on how much is cached."""

import json

import numpy as np
import pytest
from helpers import programs
from helpers.pictures import write_photos
from helpers.small_runs import make_runs_small

from and_tf.runs.workdir import Workdir

FLAGS = [
    "--encoder=resnet_small", "--image_size=96", "--embedding_dim=8", "--rounds=1",
    "--epochs_per_round=1", "--batch_size=4", "--eval_every=1", "--deterministic",
    "--discovery_features=clean",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    here = tmp_path_factory.mktemp("runs")
    for split, count in (("train", 2), ("val", 1)):
        for name in "ab":
            write_photos(
                here / "photos" / split / name, [(260, 200), (150, 400), (90, 120)] * count
            )
    with pytest.MonkeyPatch.context() as patch:
        make_runs_small(patch)
        for cache_mb in (0, 4096):
            flags = [*FLAGS, f"--data=folder:{here}/photos", f"--workdir={here / str(cache_mb)}"]
            assert programs.train([*flags, f"--cache_mb={cache_mb}"]) == 0
    return here


def test_metrics_and_weights_do_not_depend_on_the_cache(runs):
    without, cached = Workdir(runs / "0"), Workdir(runs / "4096")
    found, expected = cached.load_checkpoint()[0], without.load_checkpoint()[0]
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    for ours, theirs in zip(cached.read_metrics(), without.read_metrics(), strict=True):
        for record in (ours, theirs):
            record.pop("images_per_second", None)
        assert ours == theirs
    metadata = [json.loads((run.metadata).read_text()) for run in (cached, without)]
    assert metadata[0] == metadata[1]
