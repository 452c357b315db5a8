"""ImageNet's validation images in one folder, labelled by the lists that come with them.

A list gives the class of each image, in its own numbering. Nothing is guessed: the training classes
are folders named like n01440764 (wnids), and a list is used only if it leads to these.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from and_tf.data.log_once import log_once
from and_tf.data.sources.class_folders import folders_of_classes
from and_tf.data.splits import SYNONYMS
from and_tf.errors import BrokenFile, UserError

logger = logging.getLogger(__name__)

WNID = re.compile(r"n\d{8}")
NUMBER = re.compile(r".*_val_(\d+)\.\w+")  # of an image, such as ILSVRC2012_val_00000293.JPEG
KAGGLE = "LOC_val_solution.csv"


def listed_classes(folder: Path, names: Sequence[str], train_folder: Path) -> list[str] | None:
    """The training class of each held-out image, according to a list.

    Args:
        folder: of the images, such as `imagenet/val`.
        names: of its images, which are not in sub-folders.
        train_folder: with a sub-folder for each class.

    Returns:
        A class for each name; None if there is no such list, or the classes are not wnids.

    Raises:
        BrokenFile: if a list does not belong to these images, or cannot be read.
        UserError: if the file that explains its numbers is missing.
    """
    classes = sorted(folders_of_classes(train_folder))
    if not classes or any("/" in name for name in names):
        return None
    are_wnids = all(map(WNID.fullmatch, classes))
    if are_wnids and folder.name in SYNONYMS["validation"]:
        for pattern, read in LISTS.items():
            above = folder.absolute().parents[1:4] if pattern == KAGGLE else ()
            for place in (*_places(folder), *above):
                for file in sorted(place.glob(pattern)):
                    return _read(read, file, names, classes)
    lists = f"ILSVRC2012_validation_ground_truth.txt, {KAGGLE} or val.txt"
    log_once(
        logger,
        logging.WARNING,
        f"{folder.absolute()} has no labels, because its images are not in sub-folders as those "
        f"of {train_folder} are: move them into sub-folders, "
        + (f"put {lists} next to the folder, " if are_wnids else "")
        + "or list them with their labels in a file, list:FILE.",
    )
    return None


def _places(folder: Path) -> list[Path]:
    """Folders that may hold a list: a folder, its parent, and development kits in these."""
    beside = [folder, folder.absolute().parent]
    kits = [kit for place in beside for kit in sorted(place.glob("*devkit*"))]
    return [*beside, *(kit / "data" for kit in kits), *kits]


def _read(
    read: Callable[[Path, Sequence[str], list[str]], list[str | None]],
    file: Path,
    names: Sequence[str],
    classes: list[str],
) -> list[str]:
    """The class of each image according to a list; a list that lacks some images is refused."""
    try:
        found = read(file, names, classes)
    except UserError:
        raise
    except Exception as error:  # corrupt files make readers raise nearly anything
        raise BrokenFile(f"{file} cannot be read ({error}): fetch or remove it.") from error
    unknown = [name for name, label in zip(names, found, strict=True) if label is None]
    if unknown:
        raise BrokenFile(
            f"{file} has no label for {len(unknown):,} of the {len(names):,} images next to it, "
            f"the first: {unknown[0]}: fetch the list that belongs to these images, or remove it."
        )
    return [label for label in found if label is not None]


def _of_wnids(file: Path, names: Sequence[str], classes: list[str]) -> list[str | None]:
    """Kaggle's LOC_val_solution.csv: each row has an image, then wnid and box of its objects."""
    with open(file, encoding="utf-8-sig", newline="") as text:
        rows = {row["ImageId"]: row["PredictionString"].split() for row in csv.DictReader(text)}
    labels = {image: words[0] for image, words in rows.items() if words}
    return [labels.get(Path(name).stem) for name in names]


def _of_ids(file: Path, names: Sequence[str], classes: list[str]) -> list[str | None]:
    """The development kit's ground truth: an id on each line, in the order of the images.

    The ids have their own order, given by the kit's meta.mat or map_clsloc.txt.
    """
    ids = [int(line) for line in file.read_text().split()]
    numbers = [NUMBER.fullmatch(name) for name in names]
    places = [int(number[1]) - 1 for number in numbers if number]
    if len(places) < len(names):
        places = list(range(len(names)))
        if len(ids) != len(names):
            raise BrokenFile(
                f"{file} has {len(ids):,} lines for {len(names):,} images, whose names do not say "
                "which line is theirs: fetch the list that belongs to these images, or remove it."
            )
    wnids = _wnids_of_ids(file)
    return [wnids.get(ids[place]) if 0 <= place < len(ids) else None for place in places]


def _wnids_of_ids(file: Path) -> dict[int, str]:
    for place in (file.parent, *_places(file.parent)):
        if (described := place / "meta.mat").is_file():
            from scipy.io import loadmat

            synsets = loadmat(described, squeeze_me=True)["synsets"]
            return {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        if (described := place / "map_clsloc.txt").is_file():
            lines = [line.split() for line in described.read_text().splitlines() if line.strip()]
            return {int(words[1]): words[0] for words in lines}
    raise UserError(
        f"{file} holds the ids of ILSVRC's development kit, which are not in the order of the "
        "class folders: put the kit's meta.mat or map_clsloc.txt next to it."
    )


def _of_places(file: Path, names: Sequence[str], classes: list[str]) -> list[str | None]:
    """Caffe's val.txt: each line has an image and the place of its class among the sorted wnids."""
    rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
    places = {Path(words[0]).name: int(words[1]) for words in rows}
    for place in (file.parent, *_places(file.parent)):
        for name in ("synsets.txt", "synset_words.txt"):
            if (described := place / name).is_file():
                classes = [line.split()[0] for line in described.read_text().splitlines() if line]
                known = dict(enumerate(classes))
                return [known.get(places.get(name, -1)) for name in names]
    if {*places.values()} != {*range(len(classes))}:
        raise UserError(
            f"{file} numbers {len({*places.values()}):,} classes from {min(places.values())} to "
            f"{max(places.values())}, and there are {len(classes):,} folders to train on: put "
            "synsets.txt or synset_words.txt, which name all classes in order, next to it."
        )
    return [classes[places[name]] if name in places else None for name in names]


# Patterns of the names of lists; the one that needs no numbering comes first.
LISTS = {
    KAGGLE: _of_wnids,
    "ILSVRC*_validation_ground_truth.txt": _of_ids,
    "val.txt": _of_places,
}
