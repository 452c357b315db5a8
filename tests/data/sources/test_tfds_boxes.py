"""The boxes of TFDS sets: one for an image, as birds have them, or one for each object, as dogs."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels
from PIL import Image

from and_tf.data.decode import square
from and_tf.data.sources.opening import open_source

BOXES = [[(0.25, 0.5, 1.0, 1.0)], [(0.0, 0.0, 0.5, 0.25), (0.25, 0.125, 0.75, 0.5)], []]
PLACES = {  # left, top, right, bottom, as Pillow crops
    "one_box": [(4, 2, 8, 8), (0, 0, 2, 4), (0, 0, 8, 8)],
    "many_boxes": [(4, 2, 8, 8), (0, 0, 4, 6), (0, 0, 8, 8)],  # around all of them
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Sets of three images in the form of TFDS: with a box each, with objects, without either."""
    import tensorflow_datasets as tfds

    box, image = tfds.features.BBoxFeature(), tfds.features.Image(shape=(8, 8, 3))
    of_objects = tfds.features.Sequence({"name": tfds.features.Text(), "bbox": box})

    class Base(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        ADDED = ()

        def _info(self):
            features = tfds.features.FeaturesDict({"image": image, **dict(self.ADDED)})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for row, found in enumerate(pixels(3)):
                boxes = [tfds.features.BBox(*corners) for corners in BOXES[row]]
                one = boxes[0] if boxes else tfds.features.BBox(0.0, 0.0, 1.0, 1.0)
                objects = [{"name": "dog", "bbox": each} for each in boxes]
                values = {"image": found, "bbox": one, "objects": objects}
                yield row, {name: values[name] for name in self.info.features}

    class OneBox(Base):
        ADDED = (("bbox", box),)

    class ManyBoxes(Base):
        ADDED = (("objects", of_objects),)

    class NoBox(Base):
        pass

    data_dir = tmp_path_factory.mktemp("tfds")
    for builder in (OneBox, ManyBoxes, NoBox):
        builder(data_dir=data_dir).download_and_prepare()
    return data_dir


@pytest.mark.parametrize("name", ["one_box", "many_boxes"])
def test_images_are_cropped_to_what_encloses_their_boxes(prepared, name):
    source = open_source(f"tfds:{name}", data_dir=prepared, crop_to_box=True)
    whole = open_source(f"tfds:{name}", data_dir=prepared)
    assert source.fingerprint != whole.fingerprint and whole.boxes is None
    stored = {image.tobytes(): row for row, image in enumerate(pixels(3))}
    for index, image in enumerate(whole.load(range(3), 8)):
        crop = Image.fromarray(image).crop(PLACES[name][stored[image.tobytes()]])
        np.testing.assert_array_equal(source.load([index], 4)[0], square(crop, 4))


def test_a_set_without_boxes_says_what_it_has(prepared):
    message = error_of(open_source, "tfds:no_box", data_dir=prepared, crop_to_box=True)
    assert "crop_to_box=True" in message and "only image" in message
