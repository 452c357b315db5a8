"""Images that a list names, as embed.py opens them."""

import numpy as np
import pytest
from helpers.pictures import write_images
from PIL import Image

from and_tf.collection.embed import _open_images
from and_tf.collection.settings import embed_settings
from and_tf.data.decode import square
from and_tf.errors import UserError

NAMES = ["x/1.png", "x/2.png", "y/3.png"]


@pytest.fixture
def photos(tmp_path):
    return tmp_path, write_images(tmp_path, NAMES)


def opened(folder, text, **values):
    (folder / "list.csv").write_text(text)
    values = {"images": f"list:{folder}/list.csv", "neighbours": 1} | values
    settings = embed_settings(values)
    assert settings.collection.folder == folder
    return _open_images(settings)


def test_a_list_gives_images_in_its_order_with_its_labels_or_those_of_the_folders(photos):
    folder, images = photos
    source = opened(folder, "path,label,split\ny/3.png,b,test\nx/1.png,a,train\n")
    assert source.names == ["y/3.png", "x/1.png"] and source.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(source.load([0], 8)[0], images["y/3.png"])
    source = opened(folder, "y/3.png\nx/1.png\n")
    assert source.class_names == ["x", "y"] and source.labels.tolist() == [1, 0]


def test_images_are_cropped_to_the_boxes_of_a_list(photos):
    folder, images = photos
    text = "path,xmin,ymin,xmax,ymax\nx/1.png,2,1,7,8\nx/2.png,0,0,8,8\n"
    source = opened(folder, text, crop_to_box=True)
    crop = Image.fromarray(images["x/1.png"]).crop((2, 1, 7, 8))
    np.testing.assert_array_equal(source.load([0], 4)[0], square(crop, 4))
    with pytest.raises(UserError, match="cannot tell that a box"):
        opened(folder, text, crop_to_box=True, update=True)
    with pytest.raises(UserError, match="which a folder does not have"):
        _open_images(embed_settings({"images": str(folder), "crop_to_box": True}))


def test_images_outside_of_the_folder_of_a_list_are_refused(photos):
    folder, _ = photos
    (folder / "lists").mkdir()
    for path in ("../x/1.png", f"{folder}/x/1.png"):
        with pytest.raises(UserError, match=r"images='list:.* is outside .*lists"):
            opened(folder / "lists", f"{path}\n")
    with pytest.raises(UserError, match=r"images='list:.*gone.csv' does not exist"):
        opened(folder, "", images=f"list:{folder}/gone.csv")
