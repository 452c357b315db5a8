"""Which photos the sections of a folder's page show first."""

import numpy as np

from and_tf.collection.page.sections.explorer import neighbours_shown
from and_tf.collection.page.sections.suspect_labels import clearest
from and_tf.collection.quality import Quality, by_severity
from and_tf.collection.suspect_labels import SuspectLabels


def test_the_most_remarkable_photo_of_a_flag_comes_first():
    measured = {
        "sharpness": np.array([5, 1, 3.0]), "brightness": np.array([5, 9, 7.0]),
        "aspect": np.array([1.0, 0.1, 4.0]), "width": np.array([9, 30, 5.0]),
        "height": np.array([50, 2, 60.0]),
    }  # fmt: skip
    names = ("blurred", "dark", "bright", "odd_aspect", "tiny", "unheard_of")
    quality = Quality(measured, dict.fromkeys(names, np.ones(3, bool)))
    orders = {name: by_severity(quality, name).tolist() for name in names}
    assert orders == {
        "blurred": [1, 2, 0], "dark": [0, 2, 1], "bright": [1, 2, 0], "odd_aspect": [1, 2, 0],
        "tiny": [1, 2, 0], "unheard_of": [0, 1, 2],
    }  # fmt: skip
    quality.flags["dark"] = np.array([False, True, True])
    assert by_severity(quality, "dark").tolist() == [2, 1]


def test_the_clearest_suspects_come_first():
    margin = np.array([0.1, 0.9, 0.5, 0.7], np.float32)
    found = SuspectLabels(np.zeros(4, np.int32), margin, np.array([True, False, True, True]))
    assert clearest(found).tolist() == [3, 2, 0]


def test_a_page_of_very_many_photos_holds_fewer_neighbours_of_each():
    assert neighbours_shown(10_000, 24) == 12 and neighbours_shown(10_000, 10) == 10
    assert neighbours_shown(100_000, 24) == 4 and neighbours_shown(10**7, 24) == 1
    assert neighbours_shown(1, 0) == 0
