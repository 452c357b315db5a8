"""Near-duplicates found among photos: python -m benchmarks.duplicates --photos=FOLDER --model=MODEL

Some photos are copied and edited in nine ways (benchmarks/photo_sets.py) and laid among others. An
edit is found if it is in one group with its original. Precision is that of the pairs of images
that share a group; the true near-duplicates that a collection holds anyway count as false here, so
the pairs are listed, to be judged by eye.

    python -m benchmarks.duplicates --photos=clothing --originals=train --others=train --seed=0
    python -m benchmarks.duplicates --photos=clothing --originals=validation,test \
        --others=validation,test,train --seed=1

The first draw is for choosing settings, the second for reporting.
"""

import argparse
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.duplicates.groups import Duplicates, find_duplicates
from and_tf.collection.encoder import embed_source, open_encoder
from and_tf.collection.labels import with_folder_labels
from and_tf.collection.pictures import Pictures, read_pictures
from and_tf.data.sources.folder import open_folder
from benchmarks.photo_sets import EIGHT, FIRST_FOUR, photos_below, plant_edits

NEIGHBOURS = 50


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    truth = _plant(options)
    collection, pictures = collected(options.work, options.model)
    found = find_duplicates(collection, pictures)
    result = measure(collection.names, found, truth)
    show(result, found, options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder with the sub-folders")
    parser.add_argument("--originals", default="validation,test", help="sub-folders, or .")
    parser.add_argument("--others", default="validation,test,train", help="sub-folders, or .")
    parser.add_argument("--num_originals", type=int, default=20)
    parser.add_argument("--num_others", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="", help="as in embed.py; by default random vectors")
    parser.add_argument("--work", type=Path, default=Path("/tmp/duplicates"), help="made anew")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    return parser.parse_args(argv)


def _plant(options: argparse.Namespace) -> dict[str, tuple[int, str]]:
    draw = np.random.default_rng(options.seed)
    candidates = photos_below(options.photos, options.originals.split(","))
    originals = [candidates[i] for i in draw.permutation(len(candidates))[: options.num_originals]]
    others = photos_below(options.photos, options.others.split(","))
    others = [path for path in others if path not in set(originals)]
    others = [others[i] for i in draw.permutation(len(others))[: options.num_others]]
    return plant_edits(options.work, originals, others, options.seed)


def collected(folder: Path, model: str) -> tuple[Collection, Pictures]:
    """A folder of photos as embed.py sees it; with random embeddings if no model is given."""
    source = with_folder_labels(open_folder(folder))
    if model:
        embeddings = embed_source(open_encoder(model), source, 64)
    else:
        embeddings = np.random.default_rng(0).normal(size=(len(source), 128)).astype(np.float32)
    neighbours = search_neighbours(embeddings, min(NEIGHBOURS, len(source) - 1))
    return Collection(source, embeddings, *neighbours), read_pictures(source)


def measure(
    names: list[str], found: Duplicates, truth: Mapping[str, tuple[int, str]]
) -> dict[str, object]:
    """Recall of each edit, of the first four and of all eight, and precision, in percent."""
    groups = dict(zip(names, found.group_numbers(len(names)).tolist(), strict=True))
    originals = {number: name for name, (number, kind) in truth.items() if kind == "original"}
    hits: dict[str, list[bool]] = {}
    for name, (number, kind) in truth.items():
        if kind != "original":
            is_found = groups[name] >= 0 and groups[name] == groups[originals[number]]
            hits.setdefault(kind, []).append(is_found)
    right, wrong = 0, []
    for group in found.groups:
        for first, second in itertools.combinations(group.members, 2):
            ends = [truth.get(names[row], (None,))[0] for row in (first, second)]
            if ends[0] is not None and ends[0] == ends[1]:
                right += 1
            else:
                wrong.append((names[first], names[second]))
    return {
        "recall": {kind: 100 * float(np.mean(values)) for kind, values in hits.items()},
        "first four": 100 * float(np.mean([hits[kind] for kind in FIRST_FOUR])),
        "all eight": 100 * float(np.mean([hits[kind] for kind in EIGHT])),
        "precision": 100 * right / max(right + len(wrong), 1),
        "pairs": right + len(wrong),
        "not planted": wrong,
    }


def show(result: dict[str, object], found: Duplicates, options: argparse.Namespace) -> None:
    """Prints the results as a Markdown table."""
    print(f"Model: {options.model or 'random vectors'}; seed {options.seed}; {found.warning}")
    recall = result["recall"]
    assert isinstance(recall, dict)
    columns = {**recall, **{key: result[key] for key in ("first four", "all eight", "precision")}}
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    print("| " + " | ".join(f"{value:.1f}" for value in columns.values()) + " |")
    print(f"{result['pairs']} pairs in {len(found.groups)} groups. Not planted, look at them:")
    wrong = result["not planted"]
    assert isinstance(wrong, list)
    for first, second in wrong:
        print(f"  {options.work / first}  {options.work / second}")


if __name__ == "__main__":
    main()
