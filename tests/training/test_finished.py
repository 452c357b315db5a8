"""A run is finished once its checkpoint is: a summary alone, as in a forged folder, is none."""

import pytest

from and_tf.errors import UserError
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import experiment_settings
from and_tf.training.start import check_run_folder, is_finished

PLAN = {"rounds": 1, "epochs_per_round": 5, "batch_size": 4}  # of 12 images: 30 steps


@pytest.fixture
def run(tmp_path):
    run = Workdir(tmp_path / "run")
    run.write_flags(experiment_settings(PLAN))
    run.write_metadata({"mean": [1.0], "std": [1.0], "images": 12})
    run.write_summary("done")
    return run


@pytest.mark.parametrize(
    ("step", "words"), [(None, "there is no checkpoint"), (29, "is of step 29 of 30")]
)
def test_a_summary_without_the_last_checkpoint_is_refused_and_its_remedies_work(run, step, words):
    settings = experiment_settings(PLAN)
    if step is not None:
        checkpoint.save(run.checkpoint, {}, {"step": step})
    with pytest.raises(UserError, match=f"{words}: restore the last checkpoint, remove summary"):
        is_finished(run, settings)
    run.summary.unlink()
    assert not is_finished(run, settings)
    assert check_run_folder(run, settings) is (step is not None)
    run.write_summary("done")
    checkpoint.save(run.checkpoint, {}, {"step": 30})
    assert is_finished(run, settings)


def test_a_finished_run_of_a_version_that_did_not_count_images_stays_one(run):
    run.write_metadata({"mean": [1.0], "std": [1.0]})
    checkpoint.save(run.checkpoint, {}, {"step": 29})
    assert is_finished(run, experiment_settings(PLAN))
