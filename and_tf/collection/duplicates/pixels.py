"""Whether two thumbnails show the same picture: one laid over the other, turned, cut and shifted.

A candidate costs little, so that an encoder or a hash may propose many. The smaller cut is looked
for in the larger one at 16 pixels, over the eight turns and mirrorings and a few scales, and the
best place is then refined at 32 pixels by least squares, as Lucas and Kanade do.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from and_tf.data.workers import thread_pool

SIDE = 48  # of the thumbnails compared, pixels
COARSE = 16
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # of a cut's sides, as fractions of the whole picture's
ASPECT_TOLERANCE = 0.14  # of the log of a cut's shape, because scales are few
COARSE_AGREEMENT = 0.7  # what agrees less at 16 pixels is not refined
STEPS = 8
LARGEST_CHANGE = 0.15  # of a scale, a place or a tilt while it is refined, as a fraction of a side
# Of edited copies of 20 photos none was stretched by more than 1.3 % or had a lower correlation of
# the colours than 0.965; of look-alikes few were stretched less than 3 %.
LARGEST_STRETCH = 1.03
LEAST_COLOUR_AGREEMENT = 0.95
LEAST_INSIDE = 0.8  # fraction of the smaller picture that must lie inside the larger
DAMPING = 1e-7  # of the normal equations, so that stripes, which leave a direction open, stay put
FLAT = 3.0  # standard deviation in grey levels below which a picture shows nothing to compare
SAME_COLOUR = 6.0  # grey levels
BLOCK = 64  # pairs at once in a thread: they stay in its cache


def agreement(thumbnails: np.ndarray, aspects: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How well the pixels of pairs of images agree where one lies over the other.

    Args:
        thumbnails: (N, SIDE, SIDE, 3) uint8, each of a whole image, stretched to a square.
        aspects: (N,) float, width over height of the images.
        pairs: (P, 2) int, indices of images.

    Returns:
        (P,) float32, up to 1: the correlation of the colours less the mean of what lies around
        each pixel. Without that any two light shirts on dark ground agree.
    """
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]

    def compare(block: np.ndarray) -> np.ndarray:
        return _agreement(thumbnails, aspects, block)

    found = list(thread_pool().map(compare, blocks)) if len(blocks) > 1 else map(compare, blocks)
    return np.concatenate([*found, np.empty(0, np.float32)])


def symmetries(images: np.ndarray) -> Iterator[np.ndarray]:
    """The eight turns and mirrorings of (P, S, S, ...) images, those to the side last."""
    for turned in (images, images.swapaxes(1, 2)):
        for upside_down in (turned, turned[:, ::-1]):
            yield upside_down
            yield upside_down[:, :, ::-1]


def _agreement(thumbnails: np.ndarray, aspects: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    first, second = thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]]
    found = _find(first, second, aspects[pairs])
    swapped = _find(second, first, aspects[pairs[:, ::-1]])
    is_swapped = swapped.score > found.score
    whole = np.where(is_swapped[:, None, None, None], second, first)
    part = np.where(is_swapped[:, None, None, None], swapped.part, found.part)
    box = np.where(is_swapped[:, None], swapped.box, found.box)
    score = np.maximum(found.score, swapped.score)
    shapes = np.stack([aspects[pairs][:, 0], found.aspect], axis=1)  # (P, 2) of whole and part
    other = np.stack([aspects[pairs][:, 1], swapped.aspect], axis=1)
    shapes = np.where(is_swapped[:, None], other, shapes)
    rows = np.flatnonzero(score >= COARSE_AGREEMENT)
    result = np.full(len(pairs), -1, np.float32)
    if len(rows):
        result[rows] = _refined(_smooth(whole[rows]), _smooth(part[rows]), box[rows], shapes[rows])
    return np.where(_is_flat(first) | _is_flat(second), _flat_agreement(first, second), result)


class _Place(NamedTuple):
    """Where a picture lies best in another.

    Attributes:
        score: (P,) correlation at COARSE pixels.
        part: (P, SIDE, SIDE, 3), the picture turned so.
        aspect: (P,) its width over its height.
        box: (P, 4) top, left, height and width as fractions of the other's sides.
    """

    score: np.ndarray
    part: np.ndarray
    aspect: np.ndarray
    box: np.ndarray


def _find(whole: np.ndarray, part: np.ndarray, shapes: np.ndarray) -> _Place:
    """Looks for pictures (P, SIDE, SIDE, 3) in others, whose widths over heights are `shapes`."""
    grey_whole, grey_part = (_shrunk_grey(images) for images in (whole, part))
    best = np.full(len(whole), -2.0)
    box = np.zeros((len(whole), 4))
    turn = np.zeros(len(whole), int)
    for number, turned in enumerate(symmetries(grey_part)):
        shape = shapes[:, 1] if number < 4 else 1 / shapes[:, 1]
        stretch = np.log(shape / shapes[:, 0])  # of width over height of the box, on the square
        for height, width in itertools.product(SCALES, SCALES):
            rows = np.flatnonzero(np.abs(np.log(width / height) - stretch) <= ASPECT_TOLERANCE)
            if len(rows):
                score, places = _slide(grey_whole[rows], turned[rows], height, width)
                better = score > best[rows]
                rows = rows[better]
                best[rows], box[rows], turn[rows] = score[better], places[better], number
    all_turned = np.stack(list(symmetries(part)))  # (8, P, SIDE, SIDE, 3)
    aspect = np.where(turn < 4, shapes[:, 1], 1 / shapes[:, 1])
    return _Place(best, all_turned[turn, np.arange(len(part))], aspect, box)


def _slide(
    whole: np.ndarray, part: np.ndarray, height: float, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """The highest correlation (P,) of a shrunk part with a window of the whole, and the box."""
    rows, columns = round(height * COARSE), round(width * COARSE)
    template = _resizing(COARSE, rows) @ part @ _resizing(COARSE, columns).T  # (P, h, w)
    template = _standard(template.reshape(len(part), -1))  # (P, h w)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (rows, columns), axis=(1, 2))
    places = windows.shape[1:3]
    windows = windows.reshape(len(whole), -1, rows * columns)  # (P, places, h w)
    means = windows.mean(axis=2)
    lengths = np.sqrt(np.maximum((windows**2).sum(axis=2) - means**2 * rows * columns, 1e-6))
    scores = np.matmul(windows, template[:, :, None])[:, :, 0] / lengths  # (P, places)
    best = scores.argmax(axis=1)
    top, left = np.divmod(best, places[1])
    box = np.stack([top, left, np.full_like(top, rows), np.full_like(top, columns)], axis=1)
    return scores[np.arange(len(whole)), best], box / COARSE


def _refined(
    whole: np.ndarray, part: np.ndarray, box: np.ndarray, shapes: np.ndarray
) -> np.ndarray:
    """The agreement (P,) after the box has been moved, scaled and tilted to fit.

    One that fits only if it is stretched is no copy: it is left as it was found.
    """
    centres = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    y, x = (grid.ravel() for grid in np.meshgrid(centres, centres, indexing="ij"))  # (S S,)
    basis = np.stack([np.ones_like(y), y - 0.5, x - 0.5])  # (3, S S): place, and two directions
    start = np.zeros((len(box), 2, 3), np.float32)  # of the vertical and the horizontal place
    start[:, :, 0] = box[:, :2] + box[:, 2:] / 2
    start[:, 0, 1], start[:, 1, 2] = box[:, 2], box[:, 3]
    affine = start
    grey, target = (images.mean(axis=3, keepdims=True) for images in (whole, part))
    for _ in range(STEPS):
        values, slopes, inside = _sample(grey, affine @ basis)
        change = _fit(values[..., 0], slopes[..., 0], target.reshape(len(box), -1), inside, basis)
        affine = start + np.clip(affine + change - start, -LARGEST_CHANGE, LARGEST_CHANGE)
    colours = part.reshape(len(part), SIDE * SIDE, 3)
    found = [_sample(whole, places @ basis) for places in (start, affine)]
    before, after = (_correlation(values, colours, inside) for values, _, inside in found)
    return np.where(_stretch(affine, shapes) <= LARGEST_STRETCH, np.maximum(before, after), before)


def _stretch(affine: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """How much more (P,) a map (P, 2, 3) scales in one direction than across it, in pixels.

    Args:
        affine: from the square of the part to that of the whole.
        shapes: (P, 2), width over height of the whole and of the part.
    """
    linear = affine[:, :, 1:].astype(np.float64)
    linear[:, 1] *= shapes[:, :1]
    linear[:, :, 1] /= shapes[:, 1:]
    scales = np.linalg.svd(linear, compute_uv=False)  # (P, 2), the larger first
    return scales[:, 0] / np.maximum(scales[:, 1], 1e-9)


def _sample(images: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (P, n, C) of images at places (P, 2, n), their slopes (P, 2, n, C), what is inside."""
    inside: np.ndarray = np.all((places >= 0) & (places <= 1), axis=1)  # (P, n)
    pixel = np.clip(places * SIDE - 0.5, 0, SIDE - 1.001)
    corner = pixel.astype(np.int32)
    fy, fx = np.moveaxis(pixel - corner, 1, 0)[..., None]  # (P, n, 1) each
    flat = images.reshape(len(images), SIDE * SIDE, -1)
    number = corner[:, 0] * SIDE + corner[:, 1]
    a, b, c, d = (
        np.take_along_axis(flat, (number + offset)[..., None], axis=1)
        for offset in (0, 1, SIDE, SIDE + 1)
    )
    values = (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d)
    down = (1 - fx) * (c - a) + fx * (d - b)
    right = (1 - fy) * (b - a) + fy * (d - c)
    return values, SIDE * np.stack([down, right], axis=1), inside


def _fit(
    values: np.ndarray,
    slopes: np.ndarray,
    target: np.ndarray,
    inside: np.ndarray,
    basis: np.ndarray,
) -> np.ndarray:
    """One Gauss-Newton step (P, 2, 3) of the affine map, with a gain and an offset of the light.

    Args:
        values: (P, n), the larger picture where the smaller one lies now.
        slopes: (P, 2, n), of `values` by vertical and horizontal place.
        target: (P, n), the smaller picture.
        inside: (P, n) bool, what counts.
        basis: (3, n), places by which the map is linear.
    """
    moves = (slopes[:, :, None] * basis[None, None]).reshape(len(values), 6, -1)
    lights = np.stack([target, np.ones_like(target)], axis=1)
    matrix = np.concatenate([moves, -lights], axis=1)  # (P, 8, n)
    weighted = matrix * inside[:, None]
    normal = (weighted @ matrix.swapaxes(1, 2)).astype(np.float64)  # (P, 8, 8)
    right = -(weighted @ values[:, :, None]).astype(np.float64)  # (P, 8, 1)
    ridge = DAMPING * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(8)
    solved = np.linalg.solve(normal + ridge, right)
    return solved[:, :6, 0].reshape(-1, 2, 3).astype(np.float32)


def _correlation(values: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Correlation (P,) of the details of (P, n, 3) colours where they lie inside.

    -1 where few lie inside, or where the colours themselves do not correlate.
    """
    weights = inside[..., None] / np.maximum(inside.sum(axis=1), 1)[:, None, None]  # (P, n, 1)
    details = _product(_details(values), _details(target), weights)
    first, second = (
        images - (images * weights).sum(axis=1, keepdims=True) for images in (values, target)
    )
    is_alike = _product(first, second, weights) >= LEAST_COLOUR_AGREEMENT
    return np.where(is_alike & (inside.mean(axis=1) >= LEAST_INSIDE), details, -1)


def _product(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The cosine (P,) of (P, n, 3) values with weights (P, n, 1)."""
    product = (weights * first * second).sum(axis=(1, 2))
    sizes = (weights * first**2).sum(axis=(1, 2)) * (weights * second**2).sum(axis=(1, 2))
    return product / np.sqrt(np.maximum(sizes, 1e-12))


def _details(images: np.ndarray) -> np.ndarray:
    """(P, S S, 3) less the mean of 5 x 5 pixels around each."""
    squares = images.reshape(len(images), SIDE, SIDE, 3)
    padded = np.pad(squares, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    rows = np.sum([padded[:, shift : shift + SIDE] for shift in range(5)], axis=0)
    means = np.sum([rows[:, :, shift : shift + SIDE] for shift in range(5)], axis=0) / 25
    return (squares - means).reshape(images.shape)


def _resizing(source: int, target: int) -> np.ndarray:
    """(target, source): each pixel of the result is the mean of what it covers."""
    edges = np.linspace(0, source, target + 1)
    pixels = np.arange(source)
    lower = np.maximum(edges[:-1, None], pixels)
    upper = np.minimum(edges[1:, None], pixels + 1)
    return np.maximum(upper - lower, 0) * target / source


def _shrunk_grey(images: np.ndarray) -> np.ndarray:
    """(P, S, S, 3) to (P, COARSE, COARSE) float32."""
    matrix = _resizing(images.shape[1], COARSE)
    return (matrix @ images.mean(axis=3, dtype=np.float32) @ matrix.T).astype(np.float32)


def _smooth(images: np.ndarray) -> np.ndarray:
    """(P, S, S, 3) uint8 to float32 0..1, each pixel with its neighbours: slopes become steady."""
    padded = np.pad(images / np.float32(255), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def _standard(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def _is_flat(images: np.ndarray) -> np.ndarray:
    return images.std(axis=(1, 2)).max(axis=1) < FLAT


def _flat_agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where two pictures are of one and the same colour, else 0."""
    difference = np.abs(first.mean(axis=(1, 2)) - second.mean(axis=(1, 2))).max(axis=1)
    both = _is_flat(first) & _is_flat(second)
    return (both & (difference < SAME_COLOUR)).astype(np.float32)
