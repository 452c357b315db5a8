"""Crops of squares: those of torchvision's TenCrop, and random ones that reach every place."""

import numpy as np
import pytest

from and_tf.data.decode import centre
from and_tf.evaluation.square_crops import CentreCrops, random_crops, ten_crops


def squares(count=2, side=9):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def naive_ten_crops(image, size):
    """As torchvision.transforms.functional.ten_crop defines them, for one image (H, W, 3)."""
    height, width = image.shape[:2]

    def five(image):
        top, left = round((height - size) / 2.0), round((width - size) / 2.0)
        return [
            image[:size, :size],
            image[:size, width - size :],
            image[height - size :, :size],
            image[height - size :, width - size :],
            image[top : top + size, left : left + size],
        ]

    return np.array(five(image) + five(np.fliplr(image)))


@pytest.mark.parametrize(("side", "size"), [(9, 6), (8, 7), (256, 224), (5, 5)])
def test_ten_crops_are_those_of_torchvision_in_its_order(side, size):
    images = squares(side=side)
    expected = [naive_ten_crops(image, size) for image in images]
    np.testing.assert_array_equal(ten_crops(images, size), expected)
    np.testing.assert_array_equal(centre(images, size), ten_crops(images, size)[:, 4])


def test_random_crops_reach_every_place_and_are_mirrored_in_half_of_the_cases():
    image = squares(1, side=4)
    noise = np.random.default_rng(1).random((300, 3))
    found = random_crops(np.repeat(image, 300, axis=0), noise, 2)
    counts = {}
    for top in range(3):
        for left in range(3):
            cut = image[0, top : top + 2, left : left + 2]
            for name, crop in (("plain", cut), ("mirrored", cut[:, ::-1])):
                counts[top, left, name] = (found == crop).all(axis=(1, 2, 3)).sum()
    assert sum(counts.values()) == 300 and min(counts.values()) > 0
    mirrored = sum(count for (*_, name), count in counts.items() if name == "mirrored")
    assert 110 < mirrored < 190


def test_the_largest_random_number_stays_within_the_image():
    images = squares(1, side=9)
    noise = np.full((1, 3), np.nextafter(1.0, 0.0))
    np.testing.assert_array_equal(random_crops(images, noise, 6), images[:, 3:, 3:])


def test_the_centre_of_a_source_is_cut_from_the_larger_square():
    class Source:
        name = "squares"

        def __len__(self):
            return 2

        def load(self, indices, size):
            return squares(side=size)[indices]

    source = CentreCrops(Source(), 9)
    assert len(source) == 2 and source.name == "squares"
    np.testing.assert_array_equal(source.load(np.array([1]), 5), squares()[1:, 2:7, 2:7])
