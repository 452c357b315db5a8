import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from and_tf.cli import evaluate
from and_tf.cli.flags import Flags
from and_tf.data.settings import DataSettings
from and_tf.errors import UserError
from and_tf.evaluation import settings
from and_tf.evaluation.protocols import PROTOCOLS, Outcome, Protocol, ProtocolInput
from and_tf.evaluation.settings import EvaluationImageSettings, evaluation_settings
from and_tf.settings import SettingError, at_least, build, setting


def test_images_are_those_of_the_run_where_nothing_is_given_and_empty_texts_clear():
    of_run = DataSettings(data="folder:/a", eval_split="test", eval_data="folder:/b")
    assert EvaluationImageSettings().applied_to(of_run) == of_run
    cleared = EvaluationImageSettings(eval_split="", eval_data="").applied_to(of_run)
    assert cleared == DataSettings(data="folder:/a")
    moved = EvaluationImageSettings(data="folder:/c").applied_to(of_run)
    assert moved == dataclasses.replace(of_run, data="folder:/c")


@pytest.mark.parametrize(
    "values",
    [{"classifier": "nn", "k": (5,)}, {"few_shot": (1,)}, {"clusters": 3},
     {"classifier": "linear", "knn_temperature": (0.2,)}],
)  # fmt: skip
def test_a_setting_of_another_protocol_is_refused(values):
    with pytest.raises(SettingError, match="leave it out"):
        evaluation_settings(values)


def test_a_flag_of_another_protocol_is_left_out_of_a_flagfile_and_refused_beside_it(
    tmp_path, capsys
):
    file = tmp_path / "flags.cfg"
    file.write_text(f"--workdir={tmp_path}/none\n--classifier=nn\n--k=5\n--few_shot=1,5\n")
    assert evaluate.main([f"--flagfile={file}"]) == 2  # there is no such run
    message = capsys.readouterr().err
    assert "--classifier=nn does not use --k=5, --few_shot=1,5, set in a card or" in message
    assert "leave it out" not in message and "none" in message
    assert evaluate.main([f"--flagfile={file}", "--k=7"]) == 2
    message = capsys.readouterr().err
    assert "--k=7 is for --classifier=knn, and not for --classifier=nn: leave it out" in message


@pytest.mark.parametrize(
    "values", [{"layer": "all"}, {"classifier": "linear"}, {"classifier": "clusters"}]
)
def test_the_training_bank_serves_only_protocols_on_embeddings(values):
    with pytest.raises(SettingError, match="bank='memory' holds embeddings"):
        evaluation_settings({"bank": "memory"} | values)


def test_a_protocol_takes_one_class_and_one_line(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Dummy(Protocol):
        """Dummy."""

        summary = "nothing at all"
        metric_titles = {"luck": "luck %"}  # noqa: RUF012

        dice: int = setting(1, "Dice.", at_least(1))

        def run(self, given):
            return [Outcome({"luck": float(self.dice)})]

        def describe(self, images, rows):
            return "luck"

    monkeypatch.setitem(PROTOCOLS, "dummy", Dummy)
    values = Flags("evaluate.py", "", (), list(PROTOCOLS.values())).parse(["--dice=3"])
    with pytest.raises(SettingError, match="dice=3 is for classifier='dummy'"):
        evaluation_settings(values)
    dummy = build(Dummy, values)
    given = ProtocolInput(None, np.ones((1, 1)), np.ones((1, 1)), 0)
    assert dummy.run(given)[0].row == {"luck": 3.0}
    assert dummy.file_name_parts() == ["dice3"]


def test_each_protocol_says_what_it_does_and_names_its_columns():
    for name, protocol in PROTOCOLS.items():
        assert f"{name}: {protocol.summary}" in evaluate.flags().help().replace("\n      ", " ")
        assert protocol.metric_titles
    assert settings.ProtocolChoice().classifier in PROTOCOLS


@pytest.mark.parametrize("layer", ["stage5", "block_13_expand_relu", "auto", "all"])
def test_a_layer_of_any_network_is_taken(layer):
    assert evaluation_settings({"layer": layer}).features.layer == layer


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crops": 5}, "crops=5 must be 1 or 10"),
        ({"solver": "adam"}, "solver='adam' must be one of lbfgs, sgd"),
        ({"sgd_epochs": 3}, "sgd_epochs=3 is for solver='sgd': add it"),
        ({"crop_from": 256}, "crop_from=256 is for solver='sgd' or crops=10"),
        ({"solver": "sgd", "few_shot": (5,)}, "leave out solver='sgd'"),
        ({"crops": 10, "few_shot": (5,)}, "leave out crops=10"),
        ({"solver": "sgd", "sgd_learning_rate": 0.0}, "sgd_learning_rate=0.0: must be above 0"),
    ],
)
def test_settings_of_the_linear_protocol_that_have_no_use_are_refused(values, words):
    with pytest.raises(SettingError) as error:
        evaluation_settings({"classifier": "linear"} | values)
    assert words in str(error.value)


def test_crops_are_cut_from_a_square_that_is_an_eighth_larger_than_published_224():
    linear = build(PROTOCOLS["linear"], {"solver": "sgd"})
    assert [linear.resized(size) for size in (224, 32, 16)] == [256, 37, 18]
    named = build(PROTOCOLS["linear"], {"crops": 10, "crop_from": 100})
    assert named.resized(96) == 100
    with pytest.raises(UserError, match="crop_from=100 is smaller than the crops, of 128 pixels"):
        named.resized(128)


@pytest.mark.parametrize(("count", "is_warned"), [(1000, True), (100_000, False)])
def test_few_steps_of_sgd_are_a_remark(count, is_warned):
    images = SimpleNamespace(labels=np.zeros(count, int), same=False)
    (sgd, lbfgs) = (build(PROTOCOLS["linear"], {"solver": name}) for name in ("sgd", "lbfgs"))
    remarks = sgd.remarks(images, [])
    assert bool(remarks) == is_warned and lbfgs.remarks(images, []) == []
    if is_warned:
        assert "SGD took only 144 steps" in remarks[0]


def test_results_of_each_recipe_of_the_linear_protocol_have_a_file_of_their_own():
    values = [{}, {"solver": "sgd"}, {"solver": "sgd", "crops": 10}, {"crops": 10},
              {"solver": "sgd", "sgd_epochs": 3}, {"few_shot": (5,)}]  # fmt: skip
    parts = [tuple(build(PROTOCOLS["linear"], each).file_name_parts()) for each in values]
    assert parts[0] == () and len(set(parts)) == len(parts)
