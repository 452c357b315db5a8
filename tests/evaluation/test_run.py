"""The training bank as the reference of an evaluation."""

import numpy as np
import pytest
from helpers.pictures import write_images
from helpers.report_runs import make_run, save_images

from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_source
from and_tf.errors import BrokenFile, UserError
from and_tf.evaluation.images import EvaluationImages
from and_tf.evaluation.run import _check_held_out, _check_images, _memory_bank
from and_tf.runs import checkpoint
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir


def run_with_bank(folder, *flags):
    """A run of 12 images whose checkpoint holds an array named `bank`, and its images."""
    data = save_images(folder / "i.npz", 12, 2)
    run = make_run(folder / "run", data, "--rounds=1", *flags)
    bank = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    checkpoint.save(
        run.checkpoint, checkpoint.load(run.checkpoint)[0] | {"bank": bank}, {"step": 4}
    )
    return run, open_source(data.partition("=")[2], "train"), bank


def test_the_array_that_the_method_names_is_read_together_with_the_encoder(tmp_path, monkeypatch):
    run, images, bank = run_with_bank(tmp_path)
    read = []
    load = checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda *args: read.append(load(*args)) or read[-1])
    restored = restore_encoder(run, "last", "bank")
    np.testing.assert_array_equal(_memory_bank(run, restored, images), bank)
    assert len(read) == 1 and list(restored.others) == ["bank"]  # a save between two would mix them


@pytest.mark.parametrize("bank", [np.ones((12, 9)), np.ones((12, 8), int), np.full((12, 8), "a"),
                                  np.full((12, 8), np.nan), np.ones((3, 8))])  # fmt: skip
def test_a_bank_that_is_not_of_the_images_and_the_encoder_is_refused(tmp_path, bank):
    run, images, _ = run_with_bank(tmp_path)
    restored = restore_encoder(run, "last", "bank")._replace(others={"bank": bank})
    with pytest.raises(BrokenFile, match=r"not hold finite numbers of shape \(12, 8\)"):
        _memory_bank(run, restored, images)


def images_with(tmp_path, names, side=8):
    write_images(tmp_path / "photos", names, side=side)
    return EvaluationImages(*[open_source(f"folder:{tmp_path / 'photos'}", "train")] * 2, [], True)


def test_images_in_the_place_of_the_runs_own_are_refused_and_others_are_remarked_on(tmp_path):
    run = Workdir(tmp_path / "run")
    images = images_with(tmp_path, ["train/a.png", "train/b.png"])
    _check_images(run, images)  # of an earlier version, which kept no list
    run.path.mkdir()
    run.write_images(manifest(images.reference))
    _check_images(run, images)
    assert images.remarks == []
    more = images_with(tmp_path, ["train/c.png"])
    _check_images(run, more)
    assert more.remarks == [
        "The training images have changed since the run began: 1 added (train/c.png)."
    ]
    other = images_with(tmp_path, ["train/b.png"], side=9)
    with pytest.raises(
        UserError, match=r"1 edited \(train/b.png\).*or, to evaluate on these.*with data"
    ):
        _check_images(run, other)


def test_a_method_that_names_no_bank_has_none(tmp_path):
    run, images, _ = run_with_bank(tmp_path, "--method=random")
    with pytest.raises(UserError, match="holds no bank"):
        _memory_bank(run, restore_encoder(run, "last", "bank"), images)


def test_held_out_images_with_other_bytes_are_refused_and_others_remarked(tmp_path):
    write_images(tmp_path, ["train/a.png", "test/c.png"])
    train, held_out = (open_source(f"folder:{tmp_path}", name) for name in ("train", "test"))
    run = Workdir(tmp_path / "run")
    images = EvaluationImages(train, held_out, [], same=False)
    own = {"mean": [1.0], "std": [1.0], "held_out_fingerprint": held_out.fingerprint}
    for known in (own, own | {"held_out_content": manifest(held_out).content}):
        run.write_metadata(known)  # the first of an earlier version
        _check_held_out(run, images)
    run.write_metadata(own | {"held_out_content": "of other pixels"})
    with pytest.raises(UserError, match=r"held-out images were edited.*name them with eval_data"):
        _check_held_out(run, images)
    run.write_metadata(own | {"held_out_content": "", "held_out_fingerprint": "other names"})
    assert not images.remarks
    _check_held_out(run, images)
    assert images.remarks == ["The held-out images have changed since the run began."]
