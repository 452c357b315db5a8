import dataclasses

import numpy as np
import pytest

from and_tf.cli import evaluate
from and_tf.cli.flags import Flags
from and_tf.data.settings import DataSettings
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
    assert "--classifier=nn has no use for --k=5, --few_shot=1,5, set in a card or" in message
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
