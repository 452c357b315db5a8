"""Draws the README's plots from a run: python -m docs.run_pictures RUN"""

import sys
from pathlib import Path

from and_tf.data import open_source
from and_tf.report.plots.accuracy_by_round import accuracy_by_round
from and_tf.report.plots.consistency_by_entropy import consistency_by_entropy
from and_tf.report.plots.drawing import save_png
from and_tf.report.record import read_record
from and_tf.runs.workdir import Workdir


def main(path: str) -> None:
    """Accuracy by round, and consistency against entropy, as in the paper's figures."""
    record = read_record(Workdir(path))
    data = record.settings.data
    raw = record.metadata.get("raw_pixels_knn_top1")
    labels = open_source(data.data, data.train_split, data.data_dir or None).labels
    plots = {
        "rounds": accuracy_by_round(record.epochs, record.evaluations, raw),
        "entropy": consistency_by_entropy(record.discoveries, labels),
    }
    for name, plot in plots.items():
        if plot is None:
            print(f"{path} has nothing to draw for {name}")
            continue
        file = Path("docs") / f"{record.settings.run.name}_{name}.png"
        save_png(plot, file)
        print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
