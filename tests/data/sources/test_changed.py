"""An image that is replaced while a run reads it."""

import os

import numpy as np
import pytest
from helpers.pictures import write_images

from and_tf.data.augmentation.columns import VALUES_PER_IMAGE
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.opening import open_source
from and_tf.errors import ImageChanged, NotFound

NOISE = np.full((1, VALUES_PER_IMAGE), 0.5, np.float32)
CROP = AugmentationSettings(image_size=8)


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    source = open_source(f"folder:{tmp_path}")
    return source, tmp_path / "b" / "2.png"


def trained_on(source):
    return source.load_crops(np.array([1]), NOISE, CROP)[0]


def test_another_size_ends_training_and_names_the_file(photos, caplog):
    source, path = photos
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ImageChanged, match=f"{path} has changed .*put the original file back"):
        trained_on(source)
    source.load([1], 8)  # what is only looked at
    source.load([1], 8)
    assert [str(path) in record.message for record in caplog.records] == [True]


def test_other_bytes_of_the_same_size_end_training_too(photos):
    source, path = photos
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(0, 10**18))
    with pytest.raises(ImageChanged):
        trained_on(source)


def test_the_same_file_written_anew_is_no_change(photos, caplog):
    source, path = photos
    before = trained_on(source)
    os.utime(path, ns=(0, 10**18))  # as from a backup
    np.testing.assert_array_equal(trained_on(source), before)
    assert not caplog.records


def test_without_checksums_a_new_time_is_warned_of_once(photos, caplog):
    source, path = photos
    source.checksums = None
    for time in (10**18, 2 * 10**18):
        os.utime(path, ns=(0, time))
        trained_on(source)
    (record,) = caplog.records
    assert "was rewritten since the start" in record.message


def test_a_file_that_is_gone_is_named(photos):
    source, path = photos
    path.unlink()
    (path.parent / "3.png").touch()
    with pytest.raises(NotFound, match=f"{path} is gone"):
        trained_on(source)
