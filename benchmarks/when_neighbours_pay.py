"""AND and Instance from one checkpoint: python -m benchmarks.when_neighbours_pay --data=digits

Round 0, which both methods share, is trained once for each seed, for so many epochs that Instance
gains nothing more. From its end each variant trains the same number of rounds and epochs, with the
same images, crops and learning rates: Instance, and AND with other neighbourhoods. So a difference
between two variants is that of the neighbours alone.

    python -m benchmarks.when_neighbours_pay --data=tfds:cifar10 --data_dir=PREPARED \\
        --train='train[:5000]' --tune='train[5000:7000]' --test='test[:2000]' --image_size=16

kNN (K = 200) is measured along the way on --tune, by which the number of epochs is chosen, and on
--test only at the start and the end of the rounds.

The round 0 of each seed and the rounds of each variant and seed are a part each. Finished parts are
kept in --folder, and a repeated command goes on with the rest; a part that was broken off is
trained anew from its start.
"""

import argparse
import functools
import logging
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from and_tf.training.durations import clock
from benchmarks.numbers import at_least_one
from benchmarks.processes import set_up_logging, user_errors
from benchmarks.record import Record
from benchmarks.shared_round_0 import Images, train_round_0, train_rounds
from benchmarks.timing import show

logger = logging.getLogger("benchmarks.when_neighbours_pay")  # also where this is the program

# What each variant trains with from the end of round 0.
VARIANTS: dict[str, dict[str, Any]] = {
    "Instance": {"anchor_share": 0.0},
    "AND, k = 1": {},
    "AND, k = 5": {"neighbourhood_size": 5},
    "AND, k = 10": {"neighbourhood_size": 10},
    "AND, k = 1, clean features": {"clean": True},
    "AND, k = 1, neighbours by label": {"by_label": True},
}
# What may differ when a command goes on with the parts of another.
FREE = ("folder", "json", "seeds", "variants", "data_dir")


def main(argv: list[str] | None = None) -> None:
    options = read_options(argv)
    set_up_logging()
    with user_errors():
        record = carry_out(options)
    show(
        f"kNN top-1 (K = 200) of {options.test} against {options.train}, {options.data}, "
        f"{options.image_size} px: after {options.first_round_epochs} epochs of Instance, "
        f"{options.rounds} rounds of {options.epochs_per_round}",
        [row(record.known, name, range(options.seeds)) for name in options.variants],
        options.json,
        is_timed=False,
        results=record.known,
    )


def read_options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/when_neighbours_pay"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data_dir", default=None, help="of prepared TFDS data sets")
    parser.add_argument("--train", default="stratified_train[:85%]", help="split to train on")
    parser.add_argument(
        "--tune", default="stratified_train[85%:]", help="split of the curves along the way"
    )
    parser.add_argument("--test", default="test", help="split of the table")
    parser.add_argument("--image_size", type=at_least_one, default=16, help="pixels")
    parser.add_argument("--crop_min_area", type=float, default=0.2)
    parser.add_argument("--color_jitter", type=float, default=0.4)
    parser.add_argument("--grey", type=float, default=0.2)
    parser.add_argument("--encoder", default="resnet_small")
    parser.add_argument("--batch_size", type=at_least_one, default=128)
    parser.add_argument("--learning_rate", type=float, default=0.03)
    parser.add_argument("--lr_policy", default="step")
    parser.add_argument("--first_round_epochs", type=at_least_one, default=200)
    parser.add_argument("--rounds", type=at_least_one, default=4)
    parser.add_argument("--epochs_per_round", type=at_least_one, default=50)
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--variants", default=";".join(VARIANTS), help="with ; between")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    options = parser.parse_args(argv)
    options.variants = options.variants.split(";")
    if unknown := [name for name in options.variants if name not in VARIANTS]:
        raise SystemExit(f"Unknown: {'; '.join(unknown)}. Known: {'; '.join(VARIANTS)}.")
    return options


def carry_out(options: argparse.Namespace) -> Record:
    """Trains the parts that are not known yet."""
    images = Images(options)
    record = open_record(options, images.fingerprints)
    parts: dict[str, Callable[[], dict[str, Any]]] = {}
    for seed in range(options.seeds):
        start = options.folder / f"round_0_seed_{seed}.npz"
        parts[f"round 0, seed {seed}"] = functools.partial(
            train_round_0, options, images, seed, start
        )
        for name in options.variants:
            parts[f"{name}, seed {seed}"] = functools.partial(
                train_rounds, options, images, VARIANTS[name], seed, start
            )
    missing = [part for part in parts if part not in record.known]
    for place, part in enumerate(missing):
        logger.info("%s: %s", part, describe_left(record.known, parts, len(missing) - place))
        started = time.monotonic()
        record.keep(part, **parts[part](), seconds=time.monotonic() - started)
    return record


def describe_left(known: Mapping[str, Any], parts: Iterable[str], missing: int) -> str:
    """How many parts are left, and how long they take at the mean of the parts that are known."""
    seconds = [known[part]["seconds"] for part in parts if part in known]
    text = f"{missing} of {len(list(parts))} parts are left"
    if not seconds:
        return text
    return f"{text}, about {clock(missing * statistics.mean(seconds))}"


def open_record(options: argparse.Namespace, fingerprints: Mapping[str, str]) -> Record:
    """What is known in the folder, which is refused if it is of other options or images."""
    record = Record(options.folder / "results.json")
    settings = {name: value for name, value in vars(options).items() if name not in FREE}
    settings["fingerprints"] = fingerprints
    kept = record.known.get("settings", {} if record.known else settings)
    if different := [name for name in settings if kept.get(name) != settings[name]]:
        raise SystemExit(
            f"{record.path} holds results of other settings ({', '.join(different)}): repeat "
            f"them, or choose another --folder. They were {kept}."
        )
    record.keep("settings", **settings)
    return record


def row(known: dict[str, dict[str, Any]], name: str, seeds: range) -> dict[str, object]:
    """A line of the table."""
    runs = [known[f"{name}, seed {seed}"] for seed in seeds]
    tests = [run["test"] for run in runs]
    starts = [known[f"round 0, seed {seed}"]["test"] for seed in seeds]
    controls = [known.get(f"Instance, seed {seed}", {}).get("test", np.nan) for seed in seeds]
    rounds = range(len(runs[0]["discoveries"]))

    def mean_of(metric: str) -> str:
        values = [[run["discoveries"][r].get(metric, np.nan) for run in runs] for r in rounds]
        return " ".join(f"{np.mean(value):.0f}" for value in values)

    return {
        "variant": name,
        "after round 0": f"{statistics.mean(starts):.1f}",
        "at the end": f"{statistics.mean(tests):.1f}",
        "std": f"{statistics.stdev(tests):.1f}" if len(tests) > 1 else "",
        "above Instance, by seed": " ".join(
            f"{test - control:+.1f}" for test, control in zip(tests, controls, strict=True)
        ),
        "consistent neighbours of all, by round": mean_of("consistent, all"),
        "of anchors": mean_of("consistency"),
        "mutual": mean_of("mutual, all"),
        "stability": mean_of("stability"),
    }


if __name__ == "__main__":
    main()
