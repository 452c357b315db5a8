"""Draws the README's plots from a run: python -m docs.run_pictures RUN"""

import sys
from pathlib import Path

from and_tf.data import open_source
from and_tf.report.plots import accuracy_by_round, consistency_by_entropy, save_png
from and_tf.report.record import read_record
from and_tf.runs.workdir import Workdir


def main(path: str) -> None:
    """Accuracy by round, and consistency against entropy, as in the paper's figures."""
    record = read_record(Workdir(path))
    options = record.options
    raw = record.facts.get("raw_pixels_knn_top1")
    labels = open_source(options.data, options.train_split, options.data_dir or None).labels
    pictures = {
        "rounds": accuracy_by_round(record.epochs, record.evaluations, raw),
        "entropy": consistency_by_entropy(record.round_ends, labels),
    }
    for name, figure in pictures.items():
        file = Path("docs") / f"{options.name}_{name}.png"
        save_png(figure, file)
        print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
