"""Where the network looks: Grad-CAM of similarity, which needs no labels."""

from collections.abc import Iterator

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from and_tf import encoders
from and_tf.data.picture import grid
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir, encoder_of
from and_tf.training.settings import read_options

MIN_POSITIONS = 7  # a side; a ResNet's last maps at 32 pixels have 4 and say little about places
BATCH = 16  # the gradient keeps every layer's maps
TILE = 96  # pixels
COLOURS = "inferno"


def attention_layer(encoder: keras.Model) -> str:
    """The deepest convolutional layer whose maps still have at least 7 x 7 positions.

    Grad-CAM's authors take the last convolutional layer, the one nearest to meaning, whose maps
    have 7 or 14 positions a side at 224 pixels. At 32 pixels a ResNet's last stage has 4, hence
    the stage before. Smaller images yet: the deepest layer with the finest maps.
    """
    names = [name for name in encoders.layer_names(encoder) if name != "fc"]
    sides = {name: min(encoder.get_layer(name).output.shape[1:3]) for name in names}
    enough = min(MIN_POSITIONS, max(sides.values()))
    return [name for name in names if sides[name] >= enough][-1]


def similarity_attention(
    encoder: keras.Model, layer: str, images: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Which places of an image make it similar to another one.

    Grad-CAM with the cosine similarity of the image's embedding to a target in place of a class's
    score: the layer's maps, each weighted by the mean gradient of the similarity over its
    positions, summed, and what is negative cut off. The embedding's length before normalisation
    counts as a constant: with it the gradient vanishes, and its direction means nothing, the
    nearer an image is to its target.

    Args:
        encoder: from images (B, H, W, 3) in 0..255 to embeddings (B, D).
        layer: a convolutional layer, such as `attention_layer(encoder)`.
        images: (n, H, W, 3) uint8.
        targets: (n, D) float, embedding of each image's counterpart, such as its nearest neighbour.

    Returns:
        (n, h, w) float32 at the layer's resolution, each map with its largest value at 1; all 0
        where nothing speaks for the similarity.

    Raises:
        ValueError: if there is not one target an image.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2; for embeddings Chen et al.,
    Adapting Grad-CAM for Embedding Networks, WACV 2020.
    """
    if len(images) != len(targets):
        raise ValueError(
            f"Each image needs one target. Received {len(images)} images, {len(targets)} targets."
        )
    output = encoder.get_layer(encoders.resolve_layer(encoder, layer)).output
    model = keras.Model(encoder.input, [output, encoder.get_layer("fc").output])
    starts = range(0, len(images), BATCH)
    maps = [_grad_cam(model, images[i : i + BATCH], targets[i : i + BATCH]) for i in starts]
    return np.concatenate(maps) if maps else np.empty((0, *output.shape[1:3]), np.float32)


def _grad_cam(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    targets = tf.math.l2_normalize(tf.cast(targets, tf.float32), axis=1)  # (B, D)
    with tf.GradientTape() as tape:
        maps, rows = model(tf.cast(images, tf.float32), training=False)  # (B, h, w, c), (B, D)
        products = tf.reduce_sum(tf.cast(rows, tf.float32) * targets, axis=1)  # (B,)
    gradients = tf.cast(tape.gradient(products, maps), tf.float32)  # (B, h, w, c)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)  # (B, 1, 1, c)
    attention = tf.nn.relu(tf.reduce_sum(weights * tf.cast(maps, tf.float32), axis=-1))
    largest = tf.reduce_max(attention, axis=(1, 2), keepdims=True)  # (B, 1, 1)
    return tf.math.divide_no_nan(attention, largest).numpy()  # (B, h, w)


def encoders_by_round(run: Workdir) -> Iterator[tuple[int, keras.Model]]:
    """The encoder at each kept round's end: one model, whose weights change as one iterates.

    Raises:
        FileNotFoundError: if the run has kept no round.
        ValueError: if a file is damaged or of another model.
    """
    files = {int(path.stem.split("_")[1]): path for path in run.rounds.glob("round_*.npz")}
    if not files:
        raise FileNotFoundError(f"{run.rounds} holds no round's end: train at least one round.")
    options, facts = read_options(run), run.read_facts()
    encoder = encoder_of(options, facts["mean"], facts["std"])
    state = checkpoint.encoder_state(encoder)
    for number, path in sorted(files.items()):
        arrays, _ = checkpoint.load(path)
        checkpoint.restore(state, arrays, path)
        yield number, encoder


def attention_by_round(
    run: Workdir, images: np.ndarray, counterparts: np.ndarray
) -> dict[int, np.ndarray]:
    """Attention of the same pairs at each kept round's end.

    The pair stays the same over the rounds, so that only the network changes.

    Args:
        run: a run.
        images: (n, H, W, 3) uint8 at the encoder's size.
        counterparts: (n, H, W, 3) uint8, the image to be similar to: each one's nearest neighbour
            by the last encoder.

    Returns:
        Maps (n, h, w) float32 in 0..1 by round, see `similarity_attention`.
    """
    maps = {}
    for number, encoder in encoders_by_round(run):
        targets = encoder.predict(counterparts, verbose=0)
        maps[number] = similarity_attention(encoder, attention_layer(encoder), images, targets)
    return maps


def overlay(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Images in grey under their maps in colour, dark where the map is 0 and yellow where it is 1.

    Args:
        images: (n, H, W, 3) uint8.
        maps: (n, h, w) float in 0..1, enlarged smoothly to (n, H, W).

    Returns:
        (n, H, W, 3) uint8.
    """
    height, width = images.shape[1:3]
    shown = np.empty(images.shape, np.uint8)
    for number, (image, values) in enumerate(zip(images, maps, strict=True)):
        enlarged = Image.fromarray(np.float32(values)).resize((width, height), Image.BICUBIC)
        heat = matplotlib.colormaps[COLOURS](np.clip(enlarged, 0, 1))[..., :3]  # (H, W, 3) in 0..1
        grey = image.mean(axis=-1, keepdims=True)  # (H, W, 1) in 0..255
        shown[number] = np.rint(0.45 * grey + 0.55 * 255 * heat)
    return shown


def attention_strip(
    images: np.ndarray, maps_by_round: dict[int, np.ndarray], tile: int = TILE
) -> tuple[Image.Image, list[str]]:
    """One row an image: the image, then its overlay at the end of each round.

    Args:
        images: (n, H, W, 3) uint8, n > 0.
        maps_by_round: (n, h, w) float in 0..1 by round.
        tile: side of one picture in pixels.

    Returns:
        (picture, columns): a PIL image of n rows, in the order of `images`, and what its columns
        show: `image`, `round 0`, `round 1` and so on.
    """
    large = [Image.fromarray(image).resize((tile, tile), Image.BICUBIC) for image in images]
    large = np.stack([np.asarray(image) for image in large])  # (n, tile, tile, 3)
    rounds = sorted(maps_by_round)
    cells = [large] + [overlay(large, maps_by_round[number]) for number in rounds]
    cells = np.stack(cells, axis=1)  # (n, columns, tile, tile, 3)
    picture = grid(cells.reshape(-1, tile, tile, 3), columns=cells.shape[1], scale=1)
    return picture, ["image", *(f"round {number}" for number in rounds)]


def choose_examples(
    first_correct: np.ndarray, last_correct: np.ndarray, count: int = 4, seed: int = 0
) -> dict[str, np.ndarray]:
    """Random images that the run came to get right, and images that it gets wrong at its end.

    Args:
        first_correct, last_correct: (Q,) bool, whether an image is classified right after round 0
            and after the last round. Leave out images without a label.
        count: images of each kind, fewer where there are not so many.
        seed: of the choice.

    Returns:
        Positions (m,) int, ascending, of the `successes` and the `failures`.
    """
    rng = np.random.default_rng(seed)
    kinds = {"successes": ~first_correct & last_correct, "failures": ~last_correct}
    return {
        name: np.sort(rng.permutation(np.flatnonzero(is_kind))[:count])
        for name, is_kind in kinds.items()
    }


def choose_by_entropy(entropy: np.ndarray, count: int = 4) -> dict[str, np.ndarray]:
    """The choice without labels: the images whose neighbourhoods are clearest and least clear.

    Args:
        entropy: (N,) float.
        count: images of each kind.

    Returns:
        Positions (m,) int of the images of `lowest entropy` and `highest entropy`, most extreme
        first; no image is in both.
    """
    order = np.argsort(entropy, kind="stable")
    count = min(count, len(order) // 2)
    return {"lowest entropy": order[:count], "highest entropy": order[::-1][:count]}
