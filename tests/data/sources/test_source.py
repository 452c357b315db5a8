"""Sources: the index is the identity, whatever holds the images."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images

from and_tf.data.sources.opening import open_source
from and_tf.data.sources.source import array_source


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 7, 1), (5, 6, 7, 3)])
def test_arrays_become_rgb(shape):
    images = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    source = array_source(images, labels=[[0], [1], [-1], [1], [0]], class_names=["a", "b"])
    assert source.images.shape == (5, 6, 7, 3)
    np.testing.assert_array_equal(source.images[..., 0], images.reshape(5, 6, 7, -1)[..., 0])
    assert source.labels.tolist() == [0, 1, -1, 1, 0] and source.labels.dtype == np.int32
    assert source.load([4, 1], 6).shape == (2, 6, 6, 3)


@pytest.mark.parametrize(
    "images, labels, fragment",
    [
        (np.zeros((3, 4, 4, 3), np.float32), None, "float32"),
        (np.zeros((3, 4, 4, 3), np.int64), None, "int64"),
        (np.zeros((3, 4), np.uint8), None, "(3, 4)"),
        (np.zeros((3, 4, 4, 4), np.uint8), None, "(3, 4, 4, 4)"),
        (np.zeros((0, 4, 4, 3), np.uint8), None, "(0, 4, 4, 3)"),
        (np.zeros((3, 0, 4, 3), np.uint8), None, "(3, 0, 4, 3)"),
        (np.zeros((3, 4, 4), np.uint8), [1, 2], "(2,)"),
        (np.zeros((3, 4, 4), np.uint8), np.eye(3), "(3, 3)"),
        (np.zeros((3, 4, 4), np.uint8), [0.0, 1.0, 2.0], "float64"),
        (np.zeros((3, 4, 4), np.uint8), [0, 1, -2], "-2"),
        (np.zeros((3, 4, 4), np.uint8), [0, 1, 2], "2"),
    ],
)
def test_wrong_arrays_are_refused(images, labels, fragment):
    message = error_of(array_source, images, labels, name="mine", class_names=["a", "b"])
    assert fragment in message and "mine" in message


@pytest.fixture(params=["array", "encoded"])
def source(request, tmp_path):
    if request.param == "array":
        return array_source(pixels(7, side=12), labels=np.arange(7) % 2)
    write_images(tmp_path, [f"{i % 2}/{i}.png" for i in range(7)], side=12)
    return open_source(f"folder:{tmp_path}")


def test_take_keeps_kind_and_order(source):
    part = source.take([5, 0, 2])
    assert type(part) is type(source) and len(part) == 3
    np.testing.assert_array_equal(part.load([0, 1, 2], 12), source.load([5, 0, 2], 12))
    np.testing.assert_array_equal(part.labels, source.labels[[5, 0, 2]])
    assert part.class_names == source.class_names
    assert part.names is None or part.names == [source.names[i] for i in (5, 0, 2)]
    prints = [s.fingerprint for s in (source, part, source.take([0, 5, 2]), part.take([0, 1]))]
    assert len(set(prints)) == 4
    assert source.take(slice(0, 3)).fingerprint == source.take([0, 1, 2]).fingerprint
    assert len(source.take(source.labels == 1)) == (source.labels == 1).sum()
    with pytest.raises(IndexError):
        source.take([7])


def test_resizing_is_that_of_files(tmp_path):
    images = write_images(tmp_path, ["1.png", "2.png"], side=12)
    np.testing.assert_array_equal(
        array_source(np.stack(list(images.values()))).load([0, 1], 5),
        open_source(f"folder:{tmp_path}").load([0, 1], 5),
    )


def test_fingerprint_of_arrays_sees_pixels_and_shape():
    images = pixels(4)
    changed = images.copy()
    changed[3, 7, 7, 2] ^= 1
    variants = [images, changed, images[::-1], images[:3], images.reshape(4, 4, 16, 3)]
    assert len({array_source(variant).fingerprint for variant in variants}) == 5
