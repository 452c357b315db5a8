"""ImageNet's validation folder: each list that comes with it gives the labels of training."""

import numpy as np
import pytest
from helpers.pictures import error_of, write_images
from scipy.io import savemat

from and_tf.data.settings import DataSettings
from and_tf.data.sources.opening import open_source, open_train_and_held_out

WNIDS = ["n01440764", "n01443537", "n02119789", "n02124075"]  # in order, as places count them
IDS = dict(zip(WNIDS, [3, 4, 1, 2], strict=True))  # as the development kit counts them
OF_IMAGES = ["n02124075", "n01440764", "n02119789", "n01443537", "n01440764"]
LABELS = [3, 0, 2, 1, 0]
NAMES = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 6)]


@pytest.fixture
def imagenet(tmp_path):
    write_images(tmp_path / "ILSVRC/Data/train", [f"{wnid}/{wnid}_1.JPEG" for wnid in WNIDS])
    write_images(tmp_path / "ILSVRC/Data/val", NAMES, seed=1)
    return tmp_path / "ILSVRC/Data"


def write_meta(folder):
    """As the development kit has it: with inner nodes, whose ids are above those of classes."""
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(IDS[wnid], wnid, "fish", 0) for wnid in reversed(WNIDS)] + [(5, "n00001740", "all", 4)]
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=kinds)[:, None]})


def write_ground_truth(folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{IDS[wnid]}\n" for wnid in OF_IMAGES)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def kit_with_meta(root):
    write_ground_truth(root / "ILSVRC2012_devkit_t12/data")
    write_meta(root / "ILSVRC2012_devkit_t12/data")


def ground_truth_with_map(root):
    write_ground_truth(root / "val")
    lines = "".join(f"{wnid} {number} fish\n" for wnid, number in IDS.items())
    (root / "map_clsloc.txt").write_text(lines)


def kaggle(root):
    rows = [f"{n[:-5]},{w} 111 108 370 297 {WNIDS[0]} 1 2 3 4" for n, w in
            zip(NAMES, OF_IMAGES, strict=True)]  # fmt: skip
    text = "ImageId,PredictionString\n" + "\n".join(reversed(rows)) + "\n"
    (root.parents[1] / "LOC_val_solution.csv").write_text(text)


def caffe(root, wnids=WNIDS):
    rows = zip(NAMES, OF_IMAGES, strict=True)
    (root / "val.txt").write_text("".join(f"{n} {wnids.index(w)}\n" for n, w in rows))


def caffe_with_synsets(root):
    more = ["n00000001", *WNIDS]
    caffe(root, more)
    (root / "synset_words.txt").write_text("".join(f"{wnid} fish, carp\n" for wnid in more))


@pytest.mark.parametrize(
    "write", [kit_with_meta, ground_truth_with_map, kaggle, caffe, caffe_with_synsets]
)
def test_each_list_gives_the_labels_of_training(imagenet, write):
    write(imagenet)
    train, held_out = open_train_and_held_out(DataSettings(f"folder:{imagenet}"))
    assert train.class_names == WNIDS == held_out.class_names and held_out.names == NAMES
    assert held_out.labels.tolist() == LABELS and held_out.labels.dtype == np.int32
    (imagenet / "val" / NAMES[2]).unlink()  # a part of the images keeps its labels
    assert open_source(f"folder:{imagenet}", "validation").labels.tolist() == [3, 0, 1, 0]


def test_class_folders_need_no_list(imagenet):
    kaggle(imagenet)
    for name, wnid in zip(NAMES, OF_IMAGES, strict=True):
        (imagenet / "val" / wnid).mkdir(exist_ok=True)
        (imagenet / "val" / name).rename(imagenet / "val" / wnid / name)
    held_out = open_source(f"folder:{imagenet}", "validation")
    assert [held_out.class_names[label] for label in held_out.labels] == sorted(OF_IMAGES)


def test_without_a_list_a_warning_says_how_to_add_one(imagenet, caplog):
    held_out = open_source(f"folder:{imagenet}", "validation")
    assert held_out.labels is None and len(held_out) == 5
    (message,) = [r.message for r in caplog.records]
    assert "ground_truth.txt" in message and "list:FILE" in message


def test_numbers_of_unknown_meaning_are_refused(imagenet):
    spec = f"folder:{imagenet}"
    write_ground_truth(imagenet)
    message = error_of(open_source, spec, "val")
    assert "ground_truth.txt" in message and "meta.mat or map_clsloc.txt" in message
    assert len(open_source(spec, "val", labels="none")) == 5
    (imagenet / "ILSVRC2012_validation_ground_truth.txt").unlink()
    caffe(imagenet, ["n00000001", *WNIDS])  # counts a class that is not there
    message = error_of(open_source, spec, "val")
    assert "val.txt numbers 4 classes from 1 to 4" in message and "synset_words.txt" in message


def test_lists_of_other_images_are_refused(imagenet):
    spec = f"folder:{imagenet}"
    kit_with_meta(imagenet)
    write_images(imagenet / "val", ["ILSVRC2012_val_00000007.JPEG"])
    assert "no label for 1 of the 6 images" in error_of(open_source, spec, "val")
    (imagenet / "val/ILSVRC2012_val_00000007.JPEG").rename(imagenet / "val/more.JPEG")
    assert "5 lines for 6 images" in error_of(open_source, spec, "val")
    kaggle(imagenet)
    assert "the first: more.JPEG" in error_of(open_source, spec, "val")
    (imagenet / "val/more.JPEG").unlink()
    text = (imagenet.parents[1] / "LOC_val_solution.csv").read_text()
    (imagenet.parents[1] / "LOC_val_solution.csv").write_text(text.replace(",n02", ",n09"))
    assert "holds the class 'n09" in error_of(open_source, spec, "val")
    (imagenet.parents[1] / "LOC_val_solution.csv").write_text("id,label\n1,2\n")
    assert "cannot be read" in error_of(open_source, spec, "val")


def test_lists_beside_other_folders_are_left_alone(tmp_path, caplog):
    write_images(tmp_path / "train", ["cat/1.png", "dog/1.png"])
    write_images(tmp_path / "val", ["1.png"])
    (tmp_path / "val.txt").write_text("1.png 0\n")
    assert open_source(f"folder:{tmp_path}", "val").labels is None
    assert "list:FILE" in caplog.text and "ILSVRC" not in caplog.text
