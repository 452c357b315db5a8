"""Which label-free metrics follow kNN accuracy: python -m benchmarks.label_free RUN [RUN ...]

The runs are finished ones with labels and many evaluations (`train.py --eval_every=1`). Three
questions, each answered by Spearman's rank correlation with `knn_top1`:

- over a run: does the metric rise and fall as accuracy does from evaluation to evaluation?
- its changes: the same for the differences between one evaluation and the next, in which a trend
  common to everything that is trained does not count;
- between runs: does the metric of the last evaluation order runs of different settings?
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from and_tf.runs.workdir import Workdir

METRICS = (
    "loss", "alignment", "uniformity", "effective_rank", "hubness", "mutual_neighbours",
    "neighbours_kept", "bank_agreement", "entropy_clean",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--least", type=int, default=30, help="evaluations of a run to count over")
    parser.add_argument("--json", type=Path, help="file to write the metrics to")
    options = parser.parse_args()
    evaluations = {str(run): read_evaluations(run) for run in options.runs}
    over = {name: e for name, e in evaluations.items() if len(e) >= options.least}
    results = {
        metric: {
            "over a run": {name: correlation(e, metric) for name, e in over.items()},
            "changes": {name: correlation_of_changes(e, metric) for name, e in over.items()},
            "between runs": correlation([e[-1] for e in evaluations.values()], metric),
        }
        for metric in METRICS
    }
    print_table(results, evaluations, over)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def read_evaluations(run: Path) -> list[dict]:
    """The evaluations of a run that have kNN accuracy, each with the loss of its epoch."""
    records = Workdir(run).read_metrics()
    losses = {record["step"]: record["loss"] for record in records if "loss" in record}
    found = [record for record in records if "knn_top1" in record and record["step"] in losses]
    if not found:
        raise SystemExit(f"{run} holds no evaluation with kNN accuracy: it needs labels.")
    return [record | {"loss": losses[record["step"]]} for record in found]


def correlation(evaluations: list[dict], metric: str) -> float:
    """Spearman's rho of a metric and kNN accuracy; NaN if fewer than 3 evaluations have both."""
    pairs = [(e[metric], e["knn_top1"]) for e in evaluations if metric in e]
    return _spearman(np.array(pairs))


def correlation_of_changes(evaluations: list[dict], metric: str) -> float:
    """Spearman's rho of the differences between consecutive evaluations."""
    pairs = [(e[metric], e["knn_top1"]) for e in evaluations if metric in e]
    return _spearman(np.diff(np.array(pairs), axis=0))


def _spearman(pairs: np.ndarray) -> float:
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic) if len(pairs) > 2 else float("nan")


def print_table(results: dict, evaluations: dict, over: dict) -> None:
    counts = ", ".join(f"{name}: {len(e)}" for name, e in over.items())
    print(f"Spearman's rho with kNN top-1. Over a run and its changes: evaluations {counts}.")
    print(f"Between runs: the last evaluations of {len(evaluations)} runs.\n")
    names = [Path(name).name for name in over]
    head = ["metric", *names, *(f"{name}, changes" for name in names), "between runs"]
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    for metric, result in results.items():
        values = [
            *result["over a run"].values(), *result["changes"].values(), result["between runs"]
        ]  # fmt: skip
        print(f"| {metric} | {' | '.join(f'{value:+.2f}' for value in values)} |")
    print("\nkNN top-1 of the last evaluation, and the metrics beside it:\n")
    print(f"| run | kNN | {' | '.join(METRICS)} |")
    print("|---" * (len(METRICS) + 2) + "|")
    for name, records in evaluations.items():
        last = records[-1]
        values = " | ".join(f"{last.get(metric, float('nan')):.2f}" for metric in METRICS)
        print(f"| {Path(name).name} | {last['knn_top1']:.1f} | {values} |")


if __name__ == "__main__":
    main()
