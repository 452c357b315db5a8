"""AND and Instance from one checkpoint: what is compared differs in the neighbours alone."""

import json

import numpy as np
import pytest

from and_tf.data import open_source
from and_tf.runs import checkpoint
from benchmarks import shared_round_0
from benchmarks import when_neighbours_pay as benchmark

pytestmark = pytest.mark.usefixtures("thin_resnet")

FLAGS = ["--train=train[:48]", "--tune=test[:20]", "--test=test[20:40]", "--image_size=8"]
FLAGS += ["--batch_size=16", "--first_round_epochs=1", "--rounds=1", "--epochs_per_round=1"]
BY_LABEL = "AND, k = 1, neighbours by label"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder and command of a table of one seed, and its models in the order of the parts."""
    folder = tmp_path_factory.mktemp("neighbours")
    command = [*FLAGS, f"--folder={folder}", "--seeds=1", f"--variants=Instance;{BY_LABEL}"]
    models, build = [], shared_round_0.build

    def build_and_keep(*args, **kwargs):
        models.append(build(*args, **kwargs))
        return models[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_round_0, "build", build_and_keep)
        benchmark.main([*command, f"--json={folder / 'table.json'}"])
    return folder, command, models


def end_of(model):
    """Encoder, bank and optimizer, without what was found for the round."""
    state = checkpoint.training_state(model)
    return checkpoint.values({n: state[n] for n in state if n not in model.round_state()})


def test_instance_from_the_checkpoint_ends_as_instance_without_a_break(finished):
    folder, command, (_, instance, by_label) = finished
    options = benchmark.read_options(command)
    images = shared_round_0.Images(options)
    model = shared_round_0.build(options, images, seed=0)
    shared_round_0.fit(options, images, model, 0, 0, 2, [])
    expected, found = end_of(model), end_of(instance)
    assert expected.keys() == found.keys() >= {"bank", "encoder/fc/kernel"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    of_round_0, _ = checkpoint.load(folder / "round_0_seed_0.npz")
    for other in (of_round_0["bank"], end_of(by_label)["bank"]):
        assert not np.allclose(other, expected["bank"], atol=1e-3)


def test_a_line_tells_what_the_neighbours_were(finished):
    folder, *_ = finished
    instance, by_label = json.loads((folder / "table.json").read_text())["rows"]
    assert instance["above Instance, by seed"] == "+0.0"
    assert instance["of anchors"] == "nan"  # there are none
    assert by_label["consistent neighbours of all, by round"] == "100"
    assert 0 < float(instance["consistent neighbours of all, by round"]) < 100


def test_what_is_finished_is_not_trained_again(finished, monkeypatch):
    _, command, _ = finished
    monkeypatch.setattr(shared_round_0, "fit", None)
    benchmark.main(command)
    with pytest.raises(TypeError):  # another variant is
        benchmark.main([*command, "--variants=AND, k = 5"])


@pytest.mark.parametrize("flag", ["--learning_rate=0.1", "--tune=test[:9]", "--test=test[40:60]"])
def test_results_of_other_settings_or_images_are_refused(finished, flag):
    folder, command, _ = finished
    before = (folder / "results.json").read_text()
    with pytest.raises(SystemExit, match="holds results of other settings"):
        benchmark.main([*command, flag])
    assert (folder / "results.json").read_text() == before


def test_other_images_by_the_same_name_are_refused(tmp_path):
    options = benchmark.read_options([f"--folder={tmp_path}"])
    benchmark.open_record(options, {"train": "a", "test": "b"})
    benchmark.open_record(options, {"train": "a", "test": "b"})
    with pytest.raises(SystemExit, match=r"other settings \(fingerprints\)"):
        benchmark.open_record(options, {"train": "a", "test": "c"})


def test_an_unknown_variant_is_refused():
    with pytest.raises(SystemExit, match=r"Unknown: AND, k = 2\. Known: Instance; AND, k = 1;"):
        benchmark.read_options(["--variants=Instance;AND, k = 2"])


def test_images_without_labels_and_wrong_settings_end_in_a_line(tmp_path):
    np.savez(tmp_path / "plain.npz", x_train=np.zeros((9, 8, 8, 3), np.uint8))
    folder, splits = f"--folder={tmp_path / 'runs'}", ["--train=train", "--tune=train"]
    with pytest.raises(SystemExit, match="has no labels, by which kNN is measured"):
        benchmark.main([f"--data=npz:{tmp_path / 'plain.npz'}", *splits, "--test=train", folder])
    with pytest.raises(SystemExit, match="--encoder=vgg"):
        benchmark.main([*FLAGS, "--encoder=vgg", folder])
    with pytest.raises(SystemExit, match="nonsense"):
        benchmark.main([*FLAGS, "--train=nonsense", folder])


def test_the_default_splits_share_no_image():
    images = shared_round_0.Images(benchmark.read_options([]))
    parts = np.concatenate([part.load(range(len(part)), 8) for part in (images.train, images.tune)])
    whole = open_source("digits", "train").images
    assert sorted(map(bytes, parts)) == sorted(map(bytes, whole))
    assert images.fingerprints["test"] == open_source("digits", "test").fingerprint


def test_the_time_left_is_that_of_the_parts_that_are_known():
    parts = ["round 0, seed 0", "Instance, seed 0", "AND, seed 0"]
    assert benchmark.describe_left({}, parts, 3) == "3 of 3 parts are left"
    known = {"settings": {}, parts[0]: {"seconds": 20.0}, parts[1]: {"seconds": 40.0}}
    assert benchmark.describe_left(known, parts, 1) == "1 of 3 parts are left, about 30s"
