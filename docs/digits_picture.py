"""Draws the README's picture from a digits run: python -m docs.digits_picture [RUN]"""

import sys

import numpy as np

import and_tf
from and_tf.data.picture import grid
from and_tf.evaluation import extract
from and_tf.search.nearest import nearest_rows

NEIGHBOURS = 15


def main(run: str = "runs/digits", path: str = "docs/digits_neighbours.png") -> None:
    """The first held-out digit of each class, then its nearest training images."""
    encoder = and_tf.load_encoder(run)
    side = encoder.input_shape[1]
    train, test = (and_tf.data.open_source("digits", split) for split in ("train", "test"))
    first = [int(np.flatnonzero(test.labels == digit)[0]) for digit in range(10)]
    embeddings, queries = (extract(encoder, source, side) for source in (train, test.take(first)))
    indices, _ = nearest_rows(embeddings, queries, NEIGHBOURS)  # (10, NEIGHBOURS)
    near = train.load(indices.ravel(), side).reshape(10, NEIGHBOURS, side, side, 3)
    tiles = np.concatenate([test.load(first, side)[:, None], near], axis=1)
    tiles = tiles.reshape(-1, side, side, 3)
    grid(tiles, columns=1 + NEIGHBOURS, scale=2).save(path)
    agree = 100 * np.mean(train.labels[indices] == np.arange(10)[:, None])
    print(f"{path}: {agree:.0f} % of the neighbours shown have the digit of their row")


if __name__ == "__main__":
    main(*sys.argv[1:])
