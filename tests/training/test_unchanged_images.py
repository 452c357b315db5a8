"""A run goes on only with the images that it began with: their boxes say which part of each."""

import json

import numpy as np
import pytest
from helpers.pictures import write_images

from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_source
from and_tf.errors import UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.unchanged import check_unchanged, label_metadata


def test_boxes_that_changed_are_refused(tmp_path):
    write_images(tmp_path, ["a.png", "b.png"])

    def opened(right):
        rows = f"path,xmin,ymin,xmax,ymax\na.png,0,0,8,8\nb.png,0,0,{right},8\n"
        (tmp_path / "list.csv").write_text(rows)
        return open_source(f"list:{tmp_path}/list.csv", crop_to_box=True)

    source, run = opened(7), Workdir(tmp_path / "run")
    run.path.mkdir()
    known = {"mean": [0] * 3, "std": [1] * 3, "fingerprint": source.fingerprint}
    run.metadata.write_text(json.dumps(known | label_metadata(source, None)))
    np.savez(run.images, **manifest(source).arrays())
    check_unchanged(run, source, manifest(source), label_metadata(source, None))
    source = opened(6.5)
    with pytest.raises(UserError, match="boxes differ"):
        check_unchanged(run, source, manifest(source), label_metadata(source, None))


def edit_within_its_size(path):
    """Other pixels, as far as anybody looks at names and sizes."""
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(8) + content[-12:])  # of the last chunk but IEND


def test_held_out_images_with_other_bytes_of_the_same_length_are_refused(tmp_path):
    write_images(tmp_path, ["train/a.png", "train/b.png", "test/c.png", "test/d.png"])

    def opened():
        return [
            open_source(f"folder:{tmp_path}", name, labels="none") for name in ("train", "test")
        ]

    (train, held_out), run = opened(), Workdir(tmp_path / "run")
    run.path.mkdir()
    known = {"mean": [0] * 3, "std": [1] * 3, "fingerprint": train.fingerprint}
    known |= label_metadata(train, held_out)
    run.metadata.write_text(json.dumps(known))
    check_unchanged(run, train, manifest(train), label_metadata(train, held_out))
    edit_within_its_size(tmp_path / "test" / "c.png")
    train, edited = opened()
    assert edited.fingerprint == held_out.fingerprint
    with pytest.raises(UserError, match="held-out images were edited"):
        check_unchanged(run, train, manifest(train), label_metadata(train, edited))
    del known["held_out_content"]  # of an earlier version
    run.metadata.write_text(json.dumps(known))
    check_unchanged(run, train, manifest(train), label_metadata(train, edited))
