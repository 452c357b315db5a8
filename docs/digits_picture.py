"""Draws the README's picture from a digits run: python -m docs.digits_picture [RUN]"""

import sys

import numpy as np

import and_tf
from and_tf.data.picture import save_grid
from and_tf.embedding_table import nearest

NEIGHBOURS = 15


def main(run: str = "runs/digits", path: str = "docs/digits_neighbours.png") -> None:
    """One held-out digit of each class, then its nearest held-out digits."""
    source = and_tf.data.open_source("digits", "test")
    encoder = and_tf.load_encoder(run)
    images = source.load(range(len(source)), encoder.input_shape[1])
    indices, _ = nearest(encoder.predict(images, verbose=0), NEIGHBOURS)
    first = np.array([np.flatnonzero(source.labels == digit)[0] for digit in range(10)])
    order = np.concatenate([first[:, None], indices[first]], axis=1)  # (10, 1 + NEIGHBOURS)
    save_grid(images[order.ravel()], path, columns=order.shape[1], scale=2)
    agree = 100 * np.mean(source.labels[indices[first]] == np.arange(10)[:, None])
    print(f"{path}: {agree:.0f} % of the neighbours shown have the digit of their row")


if __name__ == "__main__":
    main(*sys.argv[1:])
