"""What of a run TensorBoard compares experiments by."""

from helpers.report_runs import settings_of

from and_tf.report.tensorboard.run_board import hyperparameters


def test_hyperparameters_are_the_settings_that_change_the_result_and_have_a_value():
    found = hyperparameters(settings_of("--name=a", "--workdir=runs/a", "--seed=3"))
    assert found["seed"] == 3 and found["flip"] is False and found["encoder"]
    assert not {"name", "workdir", "data_dir", "checkpoint_steps", "eval_split"} & set(found)
