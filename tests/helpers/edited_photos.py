"""Generated photos and copies of them, edited as people and programs do."""

import numpy as np
from PIL import Image, ImageDraw

SIZE = (120, 160)


def scene(seed):
    """A PIL image with a ground of smooth colours and shapes on it."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(14):
        left, top = draw.integers(0, SIZE[0] - 20), draw.integers(0, SIZE[1] - 20)
        box = (left, top, left + draw.integers(8, 50), top + draw.integers(8, 50))
        colour = tuple(draw.integers(0, 256, 3).tolist())
        (pen.ellipse if draw.random() < 0.5 else pen.rectangle)([int(v) for v in box], colour)
    return image


def cut(image, scale, place=(0.5, 0.5)):
    width, height = (round(scale * side) for side in image.size)
    left, top = (
        round(p * (a - b)) for p, a, b in zip(place, image.size, (width, height), strict=True)
    )
    return image.crop((left, top, left + width, top + height))


EDITS = {
    "half": lambda image: image.resize((SIZE[0] // 2, SIZE[1] // 2), Image.Resampling.LANCZOS),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside_down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "left": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "half_turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "right": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "brighter": lambda image: image.point(lambda value: min(255, round(1.3 * value))),
    "cut": lambda image: cut(image, 0.8, (0.3, 0.9)),
    "turned_5": lambda image: cut(image.rotate(5, Image.Resampling.BICUBIC), 0.85),
}


def write_scenes(folder, count, first_seed=0):
    """Writes scenes as scene_SEED.png; gives the PIL images."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [scene(seed) for seed in range(first_seed, first_seed + count)]
    for seed, image in enumerate(found, first_seed):
        image.save(folder / f"scene_{seed:02}.png")
    return found
