"""evaluate.py: one protocol on the features of one layer, or of all layers, of a run."""

import contextlib
import types

import keras
import numpy as np

from and_tf import encoders
from and_tf.data.pipeline import steps_per_epoch
from and_tf.evaluation import results
from and_tf.evaluation.confusion import confusion_matrix
from and_tf.evaluation.features import extract_layers
from and_tf.evaluation.images import EvaluationImages, has_labels, open_images
from and_tf.evaluation.protocols import PROTOCOLS, Outcome, in_words, notes_on, num_clusters
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir, open_run
from and_tf.training.settings import read_options


def evaluate_run(options: types.SimpleNamespace) -> dict:
    """Evaluates a run by one protocol and writes the figures beside its checkpoint.

    Args:
        options: values of `flags.evaluate_flags()`.

    Returns:
        What was written; see `results`.

    Raises:
        FileNotFoundError: if there is no run or no checkpoint.
        ValueError: if the layer, the data or the checkpoint do not fit.
    """
    run = open_run(options.workdir)
    trained = read_options(run)
    encoder, step, _ = restore_encoder(run)
    layers = encoders.layer_names(encoder)
    if options.layer != "all":
        layers = [encoders.resolve_layer(encoder, options.layer)]
        options = types.SimpleNamespace(**vars(options) | {"layer": layers[0]})
    images = open_images(options, trained)
    _check_counts(options, images)
    outcomes = _measure(options, run, encoder, layers, images, trained.image_size)
    per_epoch = steps_per_epoch(run.read_facts()["images"], trained.batch_size)
    report = _report(options, images, layers, outcomes)
    report |= {"step": step, "epoch": step // per_epoch}
    matrices = _confusion_matrices(images, outcomes)
    stem = results.file_stem(options)
    path = results.write_results(run.evaluations, stem, report, matrices, images.class_names)
    _print(run, report, path)
    return report


def _check_counts(options: types.SimpleNamespace, images: EvaluationImages) -> None:
    """Refuses numbers that the images do not allow, before features are taken."""
    if options.few_shot:
        labels = images.reference.labels
        counts = np.bincount(labels[labels >= 0], minlength=len(images.class_names))
        if counts.min() < max(options.few_shot):
            raise ValueError(
                f"--few_shot={max(options.few_shot)} needs as many labelled images of each class, "
                f"and {images.reference.name} has {counts.min()} of the class "
                f"{images.class_names[counts.argmin()]!r}: lower it or add images."
            )
    if options.classifier == "clusters":
        if options.clusters is None and not has_labels(images.queries):
            raise ValueError(
                f"{images.queries.name} has no labels, whose number of classes would be the number "
                "of clusters: pass --clusters=NUMBER."
            )
        if num_clusters(options, images) < 2:
            raise ValueError(f"{images.queries.name} shows a single class: pass --clusters=NUMBER.")
        if num_clusters(options, images) > len(images.queries):
            raise ValueError(
                f"--clusters={options.clusters} exceeds the number of images, "
                f"{len(images.queries)} from {images.queries.name}: lower it."
            )


def _measure(
    options: types.SimpleNamespace,
    run: Workdir,
    encoder: keras.Model,
    layers: list[str],
    images: EvaluationImages,
    size: int,
) -> list[Outcome]:
    """The outcomes of every layer, from one pass over each source."""
    with contextlib.ExitStack() as opened:

        def features(source):
            found = extract_layers(
                encoder,
                layers,
                source,
                size,
                max_values=options.max_values,
                memory_mb=options.memory_mb // 4,
                folder=run.path,  # the disk that holds checkpoints; /tmp may be memory
            )
            for values in found.values():
                opened.callback(values.close)
            return found

        if options.bank == "memory":
            reference = {"fc": _memory(run, images.reference)}
            queries = features(images.queries)
        else:
            queries = features(images.queries)
            alone = images.same or options.classifier == "clusters"
            reference = queries if alone else features(images.reference)
        outcomes = []
        for layer in layers:
            found = PROTOCOLS[options.classifier](options, images, reference[layer], queries[layer])
            for outcome in found:
                outcome.row = {"layer": layer, "values": queries[layer].shape[1]} | outcome.row
            outcomes += found
    return outcomes


def _memory(run: Workdir, reference) -> np.ndarray:
    """The rows of the training bank, which must belong to the reference images."""
    arrays, _, _ = run.load_checkpoint()
    if run.read_facts()["fingerprint"] != reference.fingerprint:
        raise ValueError(
            f"--bank=memory holds the images of the run, not {reference.name}: leave out --data "
            "and --train_split, or use --bank=recomputed."
        )
    return arrays["bank"]


def _report(options, images, layers, outcomes) -> dict:
    """What is written and printed; see `results`."""
    rows = [_plain(outcome.row) for outcome in outcomes]
    place = f"layer {layers[0]}, {rows[0]['values']} values"
    if len(layers) > 1:
        place = f"layers {', '.join(layers)}"
    report = {
        "classifier": options.classifier,
        "protocol": f"{in_words(options, images, rows)}, {place}",
        "layer": options.layer,
        "reference": _counted(images.reference),
        "queries": _counted(images.queries),
        "rows": rows,
    }
    if options.classifier == "clusters":
        del report["reference"]
    else:
        report["protocol"] += f", bank {options.bank}"
    if len(rows) == 1:
        report |= {name: value for name, value in rows[0].items() if name in results.FIGURES}
    return report | {"notes": images.notes + notes_on(options, images, rows)}


def _counted(source) -> str:
    known = 0 if source.labels is None else int((source.labels >= 0).sum())
    labelled = f", {known} with a label" if 0 < known < len(source) else ""
    return f"{source.name}, {len(source)} images{labelled}"


def _plain(row: dict) -> dict:
    return {n: round(value, 6) if isinstance(value, float) else value for n, value in row.items()}


def _confusion_matrices(images, outcomes) -> dict[str, np.ndarray]:
    """{layer: matrix (C, C)} by the first setting of each layer."""
    matrices = {}
    for outcome in outcomes:
        if outcome.predictions is not None and outcome.row["layer"] not in matrices:
            matrices[outcome.row["layer"]] = confusion_matrix(
                images.queries.labels, outcome.predictions, len(images.class_names)
            )
    return matrices


def _print(run: Workdir, report: dict, path) -> None:
    print(f"{run.path}: {report['protocol']}")
    against = f" against {report['reference']}" if "reference" in report else ""
    print(f"{report['queries']}{against}\n\n{results.table(report['rows'])}\n")
    for note in report["notes"]:
        print(note)
    print(f"Written to {path}")
    if report["files"]:
        layer = ".LAYER" if report["layer"] == "all" else ""
        print(f"Classes in {path.stem}{layer}.per_class.csv, .confusion.csv and .confusion.png")
