"""How long a short run on a folder is, where it lies, and which encoder is chosen."""

import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.pictures import write_images

from and_tf.collection import choice, quick_run
from and_tf.collection.choice import choose_model, newest_run_on
from and_tf.collection.embed import _with_model, embed_folder
from and_tf.collection.quick_run import expected_seconds, size_for
from and_tf.collection.settings import embed_settings
from and_tf.data.sources.opening import open_source
from and_tf.errors import Stopped, UserError
from and_tf.methods import METHODS
from and_tf.runs.workdir import Workdir
from and_tf.settings import flat_values, parse_all
from and_tf.training.cards import read_card
from and_tf.training.settings import ExperimentSettings, experiment_settings


def test_a_thousand_photos_take_minutes_and_a_million_hours():
    size = size_for(1000)
    assert (size.rounds, size.epochs, size.views, size.batch_size) == (1, 50, 2, 64)
    assert expected_seconds(1000, size, cores=2) < 7 * 60
    for images in (10_000, 100_000, 1_000_000):
        assert expected_seconds(images, size_for(images), cores=2) < 2 * 3600
    assert size_for(1_000_000)[:2] == (0, 1)


def test_a_thousand_photos_get_the_epochs_of_the_card():
    card = parse_all([ExperimentSettings, *METHODS.values()], read_card(quick_run.CARD))
    size = size_for(1000)._asdict()
    assert {name: card[name] for name in size} == size and card["group_weight"] == 1


@pytest.mark.parametrize("images", [8, 9, 31, 60, 255, 256, 1000, 10**4, 10**6, 10**7])
def test_every_size_has_steps_and_a_second_round_if_there_is_time(images):
    size = size_for(images)
    assert 8 <= size.batch_size <= min(64, images)
    assert size.rounds == (1 if images < 10**6 else 0) and size.epochs_per_round >= 1
    assert size.epochs <= 50


def test_a_larger_folder_never_gets_more_epochs():
    epochs = [size_for(images).epochs for images in range(8, 50_000, 97)]
    assert epochs == sorted(epochs, reverse=True)


def test_too_few_photos_are_refused_with_the_remedy():
    with pytest.raises(UserError, match="pretrained weights"):
        size_for(7)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_images(tmp_path / "photos", [f"{number}.png" for number in range(12)])
    return tmp_path / "photos"


def begun(folder, data, is_finished=True):
    """A run as far as the choice looks at it."""
    run = Workdir(folder)
    (run.path / "checkpoints").mkdir(parents=True)
    run.flags.write_text(f"--data={data}\n")
    run.checkpoint.touch()
    if is_finished:
        run.summary.touch()
    return run


def test_the_newest_run_on_these_photos_is_chosen_and_none_on_others(photos):
    assert newest_run_on(photos) is None
    begun("runs/digits", "digits")
    begun("runs/others", f"folder:{photos.parent}/others")
    assert newest_run_on(photos) is None
    older, newer = (begun(f"runs/{name}", f"folder:{photos}") for name in ("b", "a"))
    os.utime(older.checkpoint, (1, 1))
    assert newest_run_on(photos).path == newer.path
    assert newest_run_on(photos / "holidays").path == newer.path
    assert newest_run_on(photos.parent) is None
    (newer.path / "flags.cfg").write_text("no flags")
    assert newest_run_on(photos).path == older.path


@pytest.mark.parametrize("flags", ["--rounds=0\n--epochs_per_round=0", "--method=random"])
def test_a_run_of_random_weights_is_not_chosen_but_one_of_loaded_weights(photos, flags):
    run = begun("runs/untrained", f"folder:{photos}\n{flags}")
    assert newest_run_on(photos) is None
    run.flags.write_text(run.flags.read_text() + "--init=MobileNetV2\n")
    assert newest_run_on(photos).path == run.path


def test_a_dry_run_says_what_it_would_train_and_trains_nothing(photos):
    values = {"images": "photos", "move_duplicates_to": "elsewhere", "dry_run": True}
    with pytest.raises(UserError) as caught:
        embed_folder(embed_settings(values))
    said = str(caught.value)
    assert "a dry run trains none" in said and "in runs/photos-quick: 12 photos, 50 ep" in said
    assert (
        re.search(r"about \d+m\d\ds on this CPU", said)
        and "without move_duplicates_to" in said
        and "model=" in said
    )
    assert sorted(path.name for path in photos.parent.iterdir()) == ["photos"]
    run = begun("runs/mine", f"folder:{photos}")
    assert choose_model("", photos, may_train=False) == str(run.path)


def test_an_unfinished_quick_run_is_not_chosen_but_continued(photos):
    begun("runs/photos-quick", f"folder:{photos}", is_finished=False)
    assert newest_run_on(photos) is None
    begun("runs/mine", f"folder:{photos}", is_finished=False)
    assert newest_run_on(photos).path.name == "mine"


def test_the_order_of_the_choice(photos, monkeypatch, caplog):
    monkeypatch.setattr(choice, "train_quickly", lambda *others: "trained")
    assert choose_model("", photos) == "trained"
    quick = begun("runs/photos-quick", f"folder:{photos}")
    assert choose_model("", photos) == str(quick.path)
    weights = (
        photos.parent
        / "keras"
        / "models"
        / ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5")
    )
    weights.parent.mkdir(parents=True)
    with h5py.File(weights, "w") as file:
        file["kernel"] = np.ones(5000)
    assert choose_model("", photos) == "MobileNetV2"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-2000])
    assert choose_model("", photos) == str(quick.path)
    assert "not a complete weights file" in caplog.text
    weights.write_bytes(whole)
    run = begun("runs/mine", f"folder:{photos}")
    os.utime(run.checkpoint, (1, 1))
    assert choose_model("", photos) == str(run.path)
    assert choose_model("x.keras", photos) == "x.keras"


def test_a_quick_run_has_a_folder_of_its_own_for_other_photos_of_the_same_name(photos):
    source = open_source(f"folder:{photos}")
    first = quick_run._run_for(photos, source, photos.parent / "runs")
    assert first.path.name == "photos-quick"
    first.path.mkdir(parents=True)
    first.write_images(quick_run.manifest(source))
    assert quick_run._run_for(photos, source, photos.parent / "runs").path == first.path
    fewer = open_source(f"folder:{photos}", "train[:11]")
    other = quick_run._run_for(photos, fewer, photos.parent / "runs")
    assert other.path.name == "photos-quick-2"


def test_a_stop_in_the_training_ends_the_command_and_the_next_one_continues(photos, monkeypatch):
    settings = []

    def run_experiment(chosen, *others):
        settings.append(chosen)
        return len(settings) > 1

    monkeypatch.setattr(quick_run, "run_experiment", run_experiment)
    with pytest.raises(Stopped):
        choose_model("", photos)
    assert choose_model("", photos).endswith("photos-quick")
    assert settings[0] == settings[1]
    assert settings[0].data.data == f"folder:{photos}"
    assert settings[0].encoder.encoder == "resnet_small"
    assert settings[0].optimizer.batch_size == 8


OWN = {"method": "deepcluster", "epochs_per_round": 5}  # by a user, in the folder of a quick run


def test_a_run_that_another_version_began_is_continued_with_its_own_settings(photos, monkeypatch):
    settings = []
    monkeypatch.setattr(quick_run, "run_experiment", lambda *given: settings.append(given[0]))
    with pytest.raises(Stopped):
        choose_model("", photos)
    run = Workdir("runs/photos-quick")
    (run.path / "checkpoints").mkdir(parents=True)
    run.checkpoint.touch()
    run.write_images(quick_run.manifest(open_source(f"folder:{photos}")))
    before = {"views": 1, "group_weight": 0.0, "rounds": 2, "epochs_per_round": 5}
    kept = experiment_settings(flat_values(settings.pop()) | before)
    run.write_flags(kept)
    with pytest.raises(Stopped):
        choose_model("", photos)
    assert settings == [kept]
    with pytest.raises(UserError, match="12 photos, 15 epochs"):
        choose_model("", photos, may_train=False)
    own = experiment_settings({**flat_values(kept.run), **flat_values(kept.data), **OWN})
    run.write_flags(own)
    with pytest.raises(UserError, match="12 photos, 5 epochs"):
        choose_model("", photos, may_train=False)


def test_a_quick_run_within_the_photos_is_continued(photos, monkeypatch):
    monkeypatch.chdir(photos)
    folder = Path(".")
    source = open_source(f"folder:{photos}")
    run = quick_run._run_for(folder, source, Path("runs"))
    run.path.mkdir(parents=True)
    run.write_images(quick_run.manifest(source))
    run.flags.write_text(f"--data=folder:{photos}\n")
    write_images(run.path, ["augmented.png"])
    again = open_source(f"folder:{photos}")
    assert quick_run._run_for(folder, again, Path("runs")).path == run.path


def test_weights_are_named_by_init_too_but_once(photos):
    named = embed_settings({"images": str(photos), "init": "x.keras"})
    assert _with_model(named).collection.model == "x.keras"
    twice = embed_settings({"images": str(photos), "init": "x.keras", "model": "x.keras"})
    assert _with_model(twice).collection.model == "x.keras"
    with pytest.raises(UserError, match="leave one of them out"):
        _with_model(embed_settings({"images": "x", "init": "x.keras", "model": "y.keras"}))
