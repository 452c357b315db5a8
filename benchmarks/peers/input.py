"""The authors' augmentation on Pillow images, one after another: with as little work as possible in
Pillow, and with torchvision's transforms, which the authors used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageEnhance

if TYPE_CHECKING:
    import torch

JITTER = 0.4


def augmented(images: Iterable[Image.Image], side: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Crops, jitters, turns grey and normalises each image: (side, side, 3) float32."""
    generator = np.random.default_rng(seed)
    for image in images:
        image = jittered(random_crop(image, side, generator), generator)
        if generator.random() < 0.2:
            image = image.convert("L").convert("RGB")
        yield (np.asarray(image, np.float32) - 127.5) / 64


def random_crop(image: Image.Image, side: int, generator: np.random.Generator) -> Image.Image:
    """RandomResizedCrop of at least a fifth of the area, aspect ratios 3:4 to 4:3, bilinear."""
    width, height = image.size
    for _ in range(10):
        area = width * height * generator.uniform(0.2, 1)
        ratio = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if w <= width and h <= height:
            break
    else:
        w = h = min(width, height)
    left, top = generator.integers(0, width - w + 1), generator.integers(0, height - h + 1)
    box = (left, top, left + w, top + h)
    return image.resize((side, side), Image.Resampling.BILINEAR, box)


def jittered(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    """ColorJitter(0.4, 0.4, 0.4, 0.4), in random order."""
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for operation in generator.permutation(4):
        if operation < 3:
            factor = generator.uniform(1 - JITTER, 1 + JITTER)
            image = enhancers[operation](image).enhance(factor)
        else:
            hue, saturation, value = image.convert("HSV").split()
            shift = np.uint8(round(255 * generator.uniform(-JITTER, JITTER)) % 256)
            hue = Image.fromarray(np.asarray(hue) + shift)
            image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return image


def augmented_by_torchvision(images: Iterable[Image.Image], side: int) -> Iterator[torch.Tensor]:
    """The same with torchvision's transforms of Pillow images: (3, side, side) float32."""
    from torchvision import transforms

    steps = [
        transforms.RandomResizedCrop(side, scale=(0.2, 1)),
        transforms.ColorJitter(JITTER, JITTER, JITTER, JITTER),
        transforms.RandomGrayscale(0.2),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.25] * 3),
    ]
    return map(transforms.Compose(steps), images)
