"""What an experiment's settings refuse, and what a method sets of its own."""

import logging

import pytest
from helpers import programs

from and_tf.cli import train
from and_tf.errors import BrokenFile, UserError
from and_tf.methods import METHODS
from and_tf.methods.choice import MethodChoice
from and_tf.runs.workdir import Workdir
from and_tf.settings import SettingError, flat_values
from and_tf.training.settings import ExperimentSettings, experiment_settings, read_settings

UNUSED = [
    ("deepcluster", "temperature", 0.05), ("instance", "neighbourhood_size", 5),
    ("supervised", "views", 2), ("and", "num_clusters", 50), ("random", "bank_rate", 0.5),
    ("split_brain", "diagnostics", True),
]  # fmt: skip


@pytest.mark.parametrize(("method", "name", "value"), UNUSED)
def test_a_setting_of_another_method_is_refused(method, name, value, capsys):
    with pytest.raises(
        SettingError, match=rf"{name}=.* is for method=.*, and not for .*'{method}'"
    ):
        experiment_settings({"method": method, name: value})
    flag = f"--{name}" if value is True else f"--{name}={value}"
    assert programs.train(["--data=digits", f"--method={method}", flag]) == 2
    message = capsys.readouterr().err
    assert f"{flag} is for --method=" in message and f"not for --method={method}:" in message


def test_the_methods_that_a_setting_is_for_are_named():
    with pytest.raises(SettingError, match=r"is for method='and' or method='instance', and not"):
        experiment_settings({"method": "supervised", "views": 2})


@pytest.mark.parametrize("form", ["--config={}", "--flagfile={}", "--flagfile {}"])
def test_a_setting_of_another_method_in_a_file_is_left_out_with_a_warning(form, tmp_path, caplog):
    card = tmp_path / "card.cfg"
    card.write_text("--data=digits\n--neighbourhood_size=5\n--temperature=0.2\n--nodiagnostics\n")
    words = [*form.format(card).split(), "--method=instance"]
    with caplog.at_level(logging.WARNING, logger="and_tf"):
        settings = programs.read_settings(words)
    assert settings.method == METHODS["instance"](bank=settings.method.bank)
    assert settings.method.bank.temperature == 0.2
    (record,) = caplog.records
    assert record.getMessage().startswith("method='instance' does not use neighbourhood_size=5,")
    with pytest.raises(SettingError, match="neighbourhood_size=3 is for method='and'"):
        programs.read_settings([*words, "--neighbourhood_size=3"])  # asked for beside the file


def test_a_run_whose_flags_hold_those_of_another_method_is_read_in_silence(tmp_path, caplog):
    run = Workdir(tmp_path)
    run.flags.write_text("--method=instance\n--neighbourhood_size=5\n--temperature=0.2\n")
    settings = read_settings(run)
    assert settings.method.title == "Instance discrimination"
    assert settings.method.bank.temperature == 0.2 and not caplog.records


def test_a_former_setting_of_a_run_or_flagfile_is_left_out_if_nothing_else_remains(tmp_path):
    run = Workdir(tmp_path)
    run.flags.write_text("--data=digits\n--method=and\n--neighbours=nearest\n--temperature=0.2\n")
    settings = read_settings(run)
    assert settings.method.bank.temperature == 0.2
    assert programs.read_settings([f"--flagfile={run.flags}"]) == settings
    assert (
        programs.read_settings([f"--flagfile={run.flags}", "--neighbours", "nearest"]) == settings
    )


def test_a_removed_value_is_refused_with_the_version_that_has_it(tmp_path, capsys):
    run = Workdir(tmp_path)
    run.flags.write_text("--data=digits\n--method=and\n--neighbours=mutual\n")
    with pytest.raises(UserError, match=r"flags.cfg has neighbours='mutual', .* version 0\.4: "):
        read_settings(run)
    for words in ([f"--flagfile={run.flags}"], ["--neighbours", "mutual"], ["--neighbours=mutual"]):
        assert programs.train(words) == 2
        message = capsys.readouterr().err
        assert "--neighbours=mutual was removed after version 0.4" in message
        assert "leave it out" in message


def test_a_value_that_no_version_had_is_not_called_removed(tmp_path, capsys):
    run = Workdir(tmp_path)
    run.flags.write_text("--data=digits\n--method=and\n--neighbours=5\n")
    with pytest.raises(BrokenFile, match="there is no setting neighbours"):
        read_settings(run)
    assert programs.train(["--data=digits", "--neighbours=5"]) == 2
    assert "There is no flag --neighbours: did you mean --neighbour" in capsys.readouterr().err


def test_the_settings_of_a_method_and_its_name_must_agree():
    for name, cls in METHODS.items():
        assert ExperimentSettings(choice=MethodChoice(name), method=cls()).method == cls()
    with pytest.raises(SettingError, match=r"method='deepcluster' .* AnchorNeighbourhoods"):
        ExperimentSettings(choice=MethodChoice("deepcluster"))


WITHOUT_CURRICULUM = ("deepcluster", "split_brain", "supervised")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_without_a_curriculum_has_one_round_and_the_others_the_plan_of_and(method):
    plan = experiment_settings({"method": method}).method.plan
    assert plan == METHODS[method]().plan  # the same in Python
    rounds = 0 if method in WITHOUT_CURRICULUM else 4
    assert (plan.rounds, plan.first_round_epochs, plan.epochs_per_round) == (rounds, 0, 200)


@pytest.mark.parametrize("method", WITHOUT_CURRICULUM)
def test_rounds_of_a_method_without_a_curriculum_are_refused_with_a_plan_of_as_many_epochs(
    method, capsys
):
    words = ["--data=digits", f"--method={method}", "--rounds=2", "--epochs_per_round=30"]
    assert programs.train(words) == 2
    message = capsys.readouterr().err
    assert "--rounds=2 " in message and "--rounds=0 and --epochs_per_round=90" in message
    assert programs.train([*words, "--first_round_epochs=10"]) == 2
    advice = "pass --rounds=0, --first_round_epochs=0 and --epochs_per_round=70."
    assert advice in capsys.readouterr().err
    assert programs.train([*words, "--rounds=0", "--first_round_epochs=10"]) == 2
    assert "pass --first_round_epochs=0 and --epochs_per_round=10." in capsys.readouterr().err
    followed = ["--rounds=0", "--first_round_epochs=0", "--epochs_per_round=70"]
    plan = programs.read_settings([*words, *followed]).method.plan
    assert (plan.rounds, plan.total_epochs) == (0, 70)


@pytest.mark.parametrize("method", WITHOUT_CURRICULUM)
@pytest.mark.parametrize(
    ("card", "epochs", "asked"), [("cifar10", 200, 1000), ("folder", 50, 250), ("digits", 16, 80)]
)
def test_rounds_of_a_card_are_left_out_with_the_epochs_that_result(
    method, card, epochs, asked, caplog
):
    words = [f"--config={card}", f"--method={method}"]
    with caplog.at_level(logging.WARNING, logger="and_tf"):
        settings = programs.read_settings(words)
    assert (settings.method.plan.rounds, settings.method.plan.total_epochs) == (0, epochs)
    left_out, of_epochs = (record.getMessage() for record in caplog.records)
    assert left_out == f"method='{method}' does not use rounds=4, set in a card or flagfile."
    assert f"one round of {epochs} epochs," in of_epochs and f"has {asked:,}:" in of_epochs
    assert f"to train for as many, pass epochs_per_round={asked}." in of_epochs
    followed = programs.read_settings([*words, f"--epochs_per_round={asked}"])
    assert (followed.method.plan.rounds, followed.method.plan.total_epochs) == (0, asked)
    with pytest.raises(SettingError, match="rounds=4 belongs to a curriculum"):
        programs.read_settings([*words, "--rounds=4"])


def test_a_card_with_a_first_round_of_its_own_trains_the_epochs_of_the_others(caplog):
    with caplog.at_level(logging.WARNING, logger="and_tf"):
        settings = programs.read_settings(["--config=photos_pretrained", "--method=supervised"])
    assert settings.method.plan.total_epochs == settings.method.plan.epochs_per_round > 1
    assert "rounds=1, first_round_epochs=1, set in" in caplog.text


def test_a_card_of_one_round_is_taken_in_silence(caplog):
    with caplog.at_level(logging.WARNING, logger="and_tf"):
        settings = programs.read_settings(["--config=cifar10_supervised", "--method=supervised"])
    assert settings.method.plan.rounds == 0 and not caplog.records


def test_instance_restarts_its_rate_in_each_round_as_the_control_of_and():
    assert experiment_settings({"method": "instance", "rounds": 2}).method.plan.rounds == 2


def test_a_method_sets_defaults_of_its_own_and_what_is_given_wins():
    split_brain = experiment_settings({"method": "split_brain"}).augmentation
    assert (split_brain.color_jitter, split_brain.grey) == (0, 0)
    assert experiment_settings({"method": "deepcluster"}).optimizer.lr_policy == "constant"
    values = {"method": "deepcluster", "lr_policy": "cosine"}
    assert experiment_settings(values).optimizer.lr_policy == "cosine"
    others = experiment_settings({"method": "supervised"})
    usual = flat_values(ExperimentSettings())
    for name in ("lr_policy", "color_jitter", "grey", "epochs_per_round"):
        assert flat_values(others)[name] == usual[name]


def test_defaults_of_a_method_are_of_settings_that_exist():
    known = flat_values(ExperimentSettings())
    for method in METHODS.values():
        assert method.recipe.keys() <= known.keys()


def test_help_names_the_methods_of_a_flag_and_their_own_defaults():
    text = train.flags().help()

    def remarks(flag):
        return " ".join(text.partition(f"\n  --{flag}=")[2].partition("\n  --")[0].split())

    for flag in ("views", "group_weight", "entropy_weight", "temperature"):
        assert "; only with --method=and|instance)" in remarks(flag), flag
    assert "; only with --method=and)" in remarks("neighbourhood_size")
    for flag in ("num_clusters", "reassign_epochs"):
        assert "; only with --method=deepcluster)" in remarks(flag)
    assert "default: step; with --method=deepcluster: constant" in remarks("lr_policy")
    assert "at least 0; with --method=deepcluster|split_brain|supervised: 0" in remarks("rounds")
    assert "with --method=split_brain: 0" in remarks("grey")
    assert "--method" not in remarks("momentum")
