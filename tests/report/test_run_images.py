"""A folder that has lost photos since: the report shows the others, counts right, or refuses."""

import re

import numpy as np
import pytest
from helpers import programs
from helpers.html_reader import Reader
from helpers.pictures import write_images
from helpers.report_runs import make_run

from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.errors import UserError
from and_tf.report.run_images import open_run_images
from and_tf.report.settings import ReportSettings

pytestmark = pytest.mark.usefixtures("thin_resnet")

COUNT = 24


@pytest.fixture
def photos(tmp_path):
    """Photos of two classes to train on, and a few held-out ones."""
    names = [f"train/{'cats' if i % 2 else 'dogs'}/{i:02}.png" for i in range(COUNT)]
    write_images(tmp_path / "photos", names + [f"test/cats/{i}.png" for i in range(6)])
    return tmp_path / "photos"


@pytest.fixture
def run(photos, tmp_path):
    """A run on them."""
    return run_on(photos, tmp_path / "run")


def run_on(photos, folder, *flags):
    run = make_run(folder, f"--data=folder:{photos}", "--rounds=1", *flags)
    settings = ReportSettings()
    train, held_out = open_train_and_held_out(_data(run))
    run.write_images(manifest(train))
    known = {} if held_out is None else {"held_out_fingerprint": held_out.fingerprint}
    run.write_metadata(run.read_metadata() | known)
    assert open_run_images(run, settings).remarks == ()
    return run


def _data(run):
    from and_tf.training.settings import read_settings

    return read_settings(run).data


def refusal(run):
    with pytest.raises(UserError) as caught:
        open_run_images(run, ReportSettings())
    return str(caught.value)


def test_rows_keep_their_meaning_where_photos_are_gone_or_edited(run, photos):
    before = open_run_images(run, ReportSettings()).train
    (photos / "train" / "cats" / "01.png").unlink()
    write_images(photos / "train" / "dogs", ["00.png"], side=9)
    write_images(photos / "train" / "cats", ["new.png"])
    images = open_run_images(run, ReportSettings())
    assert images.train.fingerprint == before.fingerprint
    assert images.train.names == before.names
    np.testing.assert_array_equal(images.train.labels, before.labels)
    gone = [before.names.index(name) for name in ("cats/01.png", "dogs/00.png")]
    np.testing.assert_array_equal(images.present, np.setdiff1d(np.arange(COUNT), gone))
    assert "2 of the 24 training images are gone or edited" in images.remarks[0]
    assert "cats/01.png, dogs/00.png" in images.remarks[0]


def of_same_size(path):
    """Changes one bit of a file that decoders pass over: its size and name stay."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last chunk's checksum
    path.write_bytes(content)


def test_a_photo_with_other_bytes_of_the_same_size_is_no_photo_of_the_run(run, photos):
    of_same_size(photos / "train" / "cats" / "03.png")
    images = open_run_images(run, ReportSettings())
    assert "1 of the 24 training images is gone or edited" in images.remarks[0]
    assert len(images.present) == COUNT - 1
    for path in photos.glob("train/*/*.png"):
        of_same_size(path)
    said = refusal(run)
    assert "23 edited" in said, said


@pytest.mark.system
def test_the_page_shows_the_photos_that_are_left_and_says_how_many_are_gone(run, photos, capsys):
    for number in (1, 2, 3):
        folder = "cats" if number % 2 else "dogs"
        (photos / "train" / folder / f"{number:02}.png").unlink()
    page = run.path / "report.html"
    assert programs.report([f"--workdir={run.path}"]) == 0
    text = Reader(page.read_text(encoding="utf-8"))
    sentence = "3 of the 24 training images are gone or edited since the run began"
    assert sentence in text.text and sentence in capsys.readouterr().err
    assert "the 21 training images that are left of 24" in text.text
    assert len(text.data["near"]) == 21
    assert not {"cats/01.png", "dogs/02.png", "cats/03.png"} & set(text.data["names"])
    assert programs.report([f"--workdir={run.path}", "--images=10"]) == 0
    assert "an evenly spread 10 of the 21 training images that are left of 24" in page.read_text()


def test_too_few_photos_left_are_refused_with_every_remedy(run, photos):
    for path in list(photos.glob("train/*/*.png"))[1:]:
        path.unlink()
    said = refusal(run)
    assert re.search(r"has changed since the run in .* began: 23 removed", said)
    for remedy in ("put them back", "undo_moves", "that holds them with data", "run embed.py with"):
        assert remedy in said


def test_a_class_that_is_gone_whole_is_refused(run, photos):
    """Held-out labels would count another set of classes."""
    for path in photos.glob("train/dogs/*.png"):
        path.unlink()
    assert "12 removed" in refusal(run)


def test_a_part_of_a_split_that_moves_into_the_held_out_one_is_refused(photos, tmp_path):
    flags = ["--train_split=train[:50%]", "--eval_split=train[50%:]"]
    run = run_on(photos / "train", tmp_path / "part", *flags)
    (photos / "train" / "dogs" / "20.png").unlink()
    (photos / "train" / "dogs" / "22.png").unlink()
    assert "removed" in refusal(run)


def test_a_run_without_a_list_of_its_images_is_refused(run, photos):
    run.images.unlink()
    (photos / "train" / "cats" / "01.png").unlink()
    assert "it held 24 images and holds 23" in refusal(run)


def test_changed_held_out_images_are_remarked(run, photos):
    (photos / "test" / "cats" / "0.png").unlink()
    images = open_run_images(run, ReportSettings())
    assert images.present is None and len(images.held_out) == 5
    assert (
        "held-out images have changed" in images.remarks[0] and "5 present now" in images.remarks[0]
    )


def test_held_out_images_with_other_bytes_of_the_same_length_are_remarked(run, photos):
    held_out = open_run_images(run, ReportSettings()).held_out
    content = {"held_out_content": manifest(held_out).content}
    run.write_metadata(run.read_metadata() | content)
    assert open_run_images(run, ReportSettings()).remarks == ()
    run.write_metadata(run.read_metadata() | {"held_out_content": "of other pixels"})
    assert "held-out images have changed" in open_run_images(run, ReportSettings()).remarks[0]
