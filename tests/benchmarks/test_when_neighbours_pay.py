"""AND and Instance from one checkpoint: what is compared is the same but for the neighbours."""

import json

import numpy as np
import pytest

from and_tf.runs import checkpoint
from benchmarks import when_neighbours_pay as benchmark

FLAGS = ["--train=train[:48]", "--tune=test[:20]", "--test=test[20:40]", "--image_size=8"]
FLAGS += ["--batch_size=16", "--first_round_epochs=1", "--rounds=1", "--epochs_per_round=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a table of one seed."""
    folder = tmp_path_factory.mktemp("neighbours")
    chosen = "Instance;AND, k = 1, neighbours by label"
    command = [*FLAGS, f"--folder={folder}", "--seeds=1", f"--variants={chosen}"]
    benchmark.main([*command, f"--json={folder / 'table.json'}"])
    return folder, command


def test_instance_from_the_checkpoint_is_instance_without_a_break(finished):
    folder, command = finished
    options = benchmark._options(command)
    images = benchmark.Images(options)
    model = benchmark.build(options, images, seed=0)
    benchmark.fit(options, images, model, 0, 0, 2, [])
    known = json.loads((folder / "results.json").read_text())["results"]["Instance, seed 0"]
    assert images.top1(model.encoder, images.test) == known["test"]
    of_round_0, _ = checkpoint.load(folder / "round_0_seed_0.npz")
    assert of_round_0["bank"].shape == model.bank.rows.shape
    assert not np.allclose(of_round_0["bank"], model.bank.rows.numpy(), atol=1e-3)


def test_a_line_tells_what_the_neighbours_were(finished):
    folder, _ = finished
    instance, by_label = json.loads((folder / "table.json").read_text())["rows"]
    assert instance["above Instance, by seed"] == "+0.0"
    assert instance["of anchors"] == "nan"  # there are none
    assert by_label["consistent neighbours of all, by round"] == "100"
    assert 0 < float(instance["consistent neighbours of all, by round"]) < 100


def test_what_is_finished_is_not_trained_again_and_other_settings_are_refused(
    finished, monkeypatch
):
    _, command = finished
    monkeypatch.setattr(benchmark, "fit", None)
    benchmark.main(command)
    with pytest.raises(SystemExit, match="other settings"):
        benchmark.main([*command, "--learning_rate=0.1"])
