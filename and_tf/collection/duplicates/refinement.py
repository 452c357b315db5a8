"""The agreement of two thumbnails after refining the place of one in the other by least squares.

Reference: B. D. Lucas and T. Kanade, An iterative image registration technique, IJCAI 1981.
"""

import numpy as np

from and_tf.collection.duplicates.coarse_search import SIDE

STEPS = 8
LARGEST_CHANGE = 0.15  # of scale, place or tilt during refinement, as a fraction of a side
# Among edited copies of 20 photos, none was stretched by more than 1.3 % or had a correlation of
# the colours below 0.965; few look-alikes were stretched by less than 3 %.
LARGEST_STRETCH = 1.03
LEAST_COLOUR_AGREEMENT = 0.95
LEAST_INSIDE = 0.8  # fraction of the smaller picture that must lie inside the larger
DAMPING = 1e-7  # of the normal equations: stripes, which leave a direction undetermined, stay put


def refined_agreement(
    whole: np.ndarray, part: np.ndarray, box: np.ndarray, shapes: np.ndarray
) -> np.ndarray:
    """The agreement (P,) after the box has been moved, scaled and tilted to fit.

    A picture that fits only when stretched is not a copy: its agreement before refinement counts.

    Args:
        whole: (P, SIDE, SIDE, 3) uint8, the larger pictures.
        part: (P, SIDE, SIDE, 3) uint8, the smaller ones, in the orientation in which they fit.
        box: (P, 4) top, left, height and width of the part, as fractions of the whole's sides.
        shapes: (P, 2), width over height of the whole and of the part.
    """
    whole, part = _smooth(whole), _smooth(part)
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
    """The ratio (P,) between the largest and the smallest scale of a map (P, 2, 3), in pixels.

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
    """Values (P, n, C) of images at places (P, 2, n), slopes (P, 2, n, C), and which are inside."""
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
    """One Gauss-Newton step (P, 2, 3) of the affine map, with gain and offset of the brightness.

    Args:
        values: (P, n), the larger picture where the smaller one lies now.
        slopes: (P, 2, n), derivatives of `values` by vertical and horizontal place.
        target: (P, n), the smaller picture.
        inside: (P, n) bool, the pixels that count.
        basis: (3, n), functions of the place in which the map is linear.
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

    It is -1 if few lie inside, or if the colours themselves do not correlate.
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
    """(P, S S, 3) minus the mean of the 5 x 5 pixels around each."""
    squares = images.reshape(len(images), SIDE, SIDE, 3)
    padded = np.pad(squares, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    rows = np.sum([padded[:, shift : shift + SIDE] for shift in range(5)], axis=0)
    means = np.sum([rows[:, :, shift : shift + SIDE] for shift in range(5)], axis=0) / 25
    return (squares - means).reshape(images.shape)


def _smooth(images: np.ndarray) -> np.ndarray:
    """(P, S, S, 3) uint8 to float32 0..1, each averaged with its neighbours, for steady slopes."""
    padded = np.pad(images / np.float32(255), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
