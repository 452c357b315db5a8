"""Folders of photos with something planted in them, for `benchmarks.duplicates` and `.planted`."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SUFFIXES = (".jpg", ".jpeg", ".png")
QUALITY = 90  # of edited JPEG files, unless the edit is a lower quality
PREFIXES = ("photo_", "other_")  # of the files that are written
Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


def photos_below(root: Path, folders: Sequence[str]) -> list[Path]:
    """All photos of some sub-folders, in the given order of sub-folders and sorted within each."""
    found = []
    for folder in folders:
        files = sorted((root / folder).rglob("*"))
        found += [file for file in files if file.suffix.lower() in SUFFIXES]
    if not found:
        raise SystemExit(f"No photos in {', '.join(folders)} of {root}.")
    return found


def turn_right_angle(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Rotates by 90 degrees, to the left or to the right."""
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
    return photo.transpose(turns[draw.integers(2)])


def turn_slightly(photo: Image.Image, draw: np.random.Generator, degrees: float = 5) -> Image.Image:
    """Rotates by 5 degrees to either side, and crops the centre so that no corner is empty."""
    angle = degrees * draw.choice([-1, 1])
    turned = photo.rotate(angle, Image.Resampling.BICUBIC)
    tilt = math.tan(math.radians(degrees))
    long, short = max(photo.size), min(photo.size)
    scale = 1 / (1 + tilt * long / short)
    return _cut(turned, scale, np.full(2, 0.5))


def crop(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Crops 80 % of each side at a random place."""
    return _cut(photo, 0.8, draw.uniform(size=2))


def _cut(photo: Image.Image, scale: float, place: np.ndarray) -> Image.Image:
    width, height = (round(scale * side) for side in photo.size)
    left = round(place[0] * (photo.width - width))
    top = round(place[1] * (photo.height - height))
    return photo.crop((left, top, left + width, top + height))


def halve(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Halves width and height."""
    size = (photo.width // 2, photo.height // 2)
    return photo.resize(size, Image.Resampling.LANCZOS)


def brighten(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Multiplies the values by 1.3."""
    return photo.point(lambda value: min(255, round(1.3 * value)))


def mirror(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Mirrors left to right."""
    return photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def same(photo: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Returns the photo itself."""
    return photo


# Each edit, the suffix of its file and the quality with which it is written.
EDITS: dict[str, tuple[Edit, str, int]] = {
    "format": (same, "webp", 80),
    "quality_30": (same, "jpg", 30),
    "half_size": (halve, "jpg", QUALITY),
    "flip": (mirror, "jpg", QUALITY),
    "rotation_90": (turn_right_angle, "jpg", QUALITY),
    "brightness": (brighten, "jpg", QUALITY),
    "crop": (crop, "jpg", QUALITY),
    "rotation_5": (turn_slightly, "jpg", QUALITY),
}
FIRST_FOUR = ("copy", "format", "quality_30", "half_size")
EIGHT = (*FIRST_FOUR, "flip", "rotation_90", "brightness", "crop")


def plant_edits(
    folder: Path, originals: Sequence[Path], others: Sequence[Path], seed: int
) -> dict[str, tuple[int, str]]:
    """Fills a folder with photos and edited copies of some of them.

    Args:
        folder: emptied first.
        originals: photos that are copied twice unchanged, and edited in every way of `EDITS`.
        others: photos that are copied unchanged.
        seed: of the edits.

    Returns:
        {name: (number of the original, edit)} for the originals ("original") and their copies;
        every other file is a distinct photo.
    """
    draw = np.random.default_rng(seed)
    _make_anew(folder)
    for number, path in enumerate(others):
        shutil.copyfile(path, folder / f"other_{number:04}{path.suffix}")
    truth = {}
    for number, path in enumerate(originals):
        for kind in ("original", "copy"):
            name = f"photo_{number:02}_{kind}{path.suffix}"
            shutil.copyfile(path, folder / name)
            truth[name] = (number, kind)
        with Image.open(path) as image:
            photo = image.convert("RGB")
        for kind, (edit, suffix, quality) in EDITS.items():
            name = f"photo_{number:02}_{kind}.{suffix}"
            edit(photo, draw).save(folder / name, quality=quality)
            truth[name] = (number, kind)
    return truth


def plant_foreign(folder: Path, photos: Sequence[Path], foreign: Sequence[Image.Image]) -> set[str]:
    """Fills a folder with photos and images of another kind; returns the names of the latter."""
    _make_anew(folder)
    for number, path in enumerate(photos):
        shutil.copyfile(path, folder / f"photo_{number:04}{path.suffix}")
    names = set()
    for number, image in enumerate(foreign):
        name = f"photo_{len(photos) + number:04}_foreign.jpg"
        image.save(folder / name, quality=QUALITY)
        names.add(name)
    return names


def plant_blurred(
    folder: Path, photos: Sequence[Path], count: int, seed: int, radius: float = 3
) -> set[str]:
    """Fills a folder with photos, some blurred by a Gaussian; returns the names of the latter."""
    chosen = set(np.random.default_rng(seed).permutation(len(photos))[:count].tolist())
    _make_anew(folder)
    names = set()
    for number, path in enumerate(photos):
        name = f"photo_{number:04}{path.suffix}"
        if number not in chosen:
            shutil.copyfile(path, folder / name)
            continue
        with Image.open(path) as image:
            blurred = image.convert("RGB").filter(ImageFilter.GaussianBlur(radius))
        blurred.save(folder / name, quality=QUALITY)
        names.add(name)
    return names


def exchange_labels(
    folder: Path, photos: Sequence[Path], fraction: float, seed: int
) -> tuple[int, set[str]]:
    """Fills a folder with class folders, and puts some photos into the wrong class.

    Args:
        folder: emptied first.
        photos: each in a folder with the name of its class.
        fraction: of the photos to put into another class, which is chosen uniformly.
        seed: of the choice.

    Returns:
        The number of classes, and the names of the photos in a wrong one.
    """
    draw = np.random.default_rng(seed)
    classes = sorted({path.parent.name for path in photos})
    wrong = set(draw.permutation(len(photos))[: round(fraction * len(photos))].tolist())
    _make_anew(folder)
    names = set()
    for number, path in enumerate(photos):
        label = path.parent.name
        if number in wrong:
            label = draw.choice([name for name in classes if name != label])
        name = f"{label}/photo_{number:04}{path.suffix}"
        (folder / label).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
        if number in wrong:
            names.add(name)
    return len(classes), names


def documents(count: int, seed: int) -> list[Image.Image]:
    """Pages of dark lines of text on a light background, like screenshots and scans."""
    from PIL import ImageDraw

    draw = np.random.default_rng(seed)
    pages = []
    for _ in range(count):
        page = Image.new("RGB", (300, 400), tuple(draw.integers(225, 256, 3).tolist()))
        pen = ImageDraw.Draw(page)
        for top in range(int(draw.integers(15, 60)), 380, int(draw.integers(10, 22))):
            text = "".join(draw.choice(list("abcdefghijklmnop  "), draw.integers(10, 45)))
            pen.text((20, top), text, fill=tuple(draw.integers(0, 90, 3).tolist()))
        pages.append(page)
    return pages


def _make_anew(folder: Path) -> None:
    """Empties or makes a folder; refuses one that holds anything but photos of an earlier call."""
    if folder.exists():
        strangers = [file for file in folder.rglob("*.*") if not file.name.startswith(PREFIXES)]
        if strangers:
            raise SystemExit(f"{folder} holds {strangers[0].name}: give an empty folder.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
