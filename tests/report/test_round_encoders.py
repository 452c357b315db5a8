"""The encoders of a run's rounds."""

import numpy as np
import pytest
from helpers.pictures import pixels
from helpers.report_runs import encoder_arrays, make_run, save_images, settings_of

from and_tf.errors import BrokenFile
from and_tf.report.record import read_record
from and_tf.report.round_encoders import encoders_by_round

pytestmark = pytest.mark.usefixtures("thin_resnet")


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", save_images(tmp_path / "images.npz", 12, 2), "--rounds=1")


def test_each_rounds_encoder_has_that_rounds_weights(run):
    found = {
        number: encoder.predict(pixels(2), verbose=0)
        for number, encoder in encoders_by_round(run, read_record(run).round_ends)
    }
    assert list(found) == [0, 1]
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_stray_files_among_the_rounds_are_no_rounds(run):
    for name in ("round_x.npz", ".DS_Store", "round_1.npz.partial", "round_7"):
        (run.rounds / name).write_bytes(b"stray")
    assert [n for n, _ in encoders_by_round(run, read_record(run).round_ends)] == [0, 1]


def test_a_round_of_another_model_is_named(run):
    other = encoder_arrays(settings_of("--encoder=resnet_small", "--image_size=8"))
    ends = read_record(run).round_ends
    np.savez(run.round_file(1), facts=np.array('{"step": 4}'), **other)
    with pytest.raises(BrokenFile, match=r"round_1\.npz"):
        list(encoders_by_round(run, ends))
