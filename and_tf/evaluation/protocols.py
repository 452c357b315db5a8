"""evaluate.py: one protocol on the features of one layer of a run."""

import json
import os
import re
import types

import numpy as np

from and_tf import checkpoint, encoders
from and_tf.data import opening
from and_tf.evaluation import accuracy, extract, fit_linear, nearest_neighbour, weighted_knn
from and_tf.workdir import Workdir, load_encoder, open_run


def evaluate_run(options: types.SimpleNamespace) -> dict:
    """Classifies the held-out images of a run and writes the figures beside its checkpoint.

    Args:
        options: values of `flags.evaluate_flags()`.

    Returns:
        What was written: protocol, top1 and top5 in percent, images, layer.

    Raises:
        FileNotFoundError: if there is no run.
        ValueError: if the layer, the data or the checkpoint do not fit.
    """
    run = open_run(options.workdir)
    trained = run.read_flags()
    if options.bank == "memory" and (options.layer != "fc" or options.classifier == "linear"):
        raise ValueError(
            "--bank=memory holds embeddings only: use it with --layer=fc and --classifier=knn or "
            f"nn. Received --layer={options.layer} --classifier={options.classifier}."
        )
    encoder = load_encoder(run.path)
    layer = encoders.resolve_layer(encoder, options.layer)
    train, held_out = _open_sources(options, trained)
    network = encoders.features(encoder, layer)
    size = trained.image_size
    queries = extract(network, held_out, size, max_values=options.max_values)
    if options.bank == "memory":
        rows = _memory(run, train)
    else:
        rows = extract(network, train, size, max_values=options.max_values)
    protocol, figures = _classify(options, rows, train.labels, queries, held_out.labels)
    report = {
        "protocol": f"{protocol}, layer {layer}, {rows.shape[1]} values, bank {options.bank}",
        **{name: round(value, 4) for name, value in figures.items()},
        "reference": f"{train.name}, {len(train)} images",
        "queries": f"{held_out.name}, {len(held_out)} images",
        "layer": layer,
        "classifier": options.classifier,
    }
    path = _write(run, report, _file_name(options, layer))
    _print(run, report, path)
    return report


def _open_sources(options, trained):
    """Reference and query sources, as the run had them where no flag says otherwise."""
    changed = vars(trained) | {name: value for name, value in vars(options).items() if value}
    chosen = types.SimpleNamespace(**changed)
    train, held_out = opening.open_train_and_held_out(
        chosen.data,
        chosen.train_split,
        chosen.eval_split,
        chosen.eval_data,
        chosen.data_dir,
        chosen.labels,
        trained.skip_broken,
    )
    if held_out is None:
        raise ValueError(
            f"{chosen.data} has no split to classify besides {chosen.train_split}: name one by "
            "--eval_split or --eval_data."
        )
    for source in (train, held_out):
        if source.labels is None or not (source.labels >= 0).any():
            raise ValueError(
                f"{source.name} has no labels, which every accuracy needs: put the images of each "
                "class into a sub-folder, or name other images by --eval_data and --data."
            )
    return train, held_out


def _memory(run: Workdir, train) -> np.ndarray:
    """The rows of the training bank, which must belong to the reference images."""
    arrays, _ = checkpoint.load(run.checkpoint)
    if run.read_facts()["fingerprint"] != train.fingerprint:
        raise ValueError(
            f"--bank=memory holds the images of the run, not {train.name}: leave out --data and "
            "--train_split, or use --bank=recomputed."
        )
    return arrays["bank"]


def _classify(options, rows, labels, queries, query_labels) -> tuple[str, dict[str, float]]:
    """The protocol in words and its figures in percent."""
    num_classes = int(max(labels.max(), query_labels.max())) + 1
    if options.classifier == "nn":
        predictions = nearest_neighbour(rows, labels, queries)
        known = query_labels >= 0
        top1 = 100 * float(np.mean(predictions[known] == query_labels[known]))
        return "nearest neighbour, cosine", {"top1": top1}
    if options.classifier == "knn":
        k = min(options.k, int((labels >= 0).sum()))
        scores = weighted_knn(
            rows, labels, queries, k, options.knn_temperature, num_classes=num_classes
        )
        words = f"weighted kNN, K = {k}, temperature {options.knn_temperature:g}"
        return words, accuracy(scores, query_labels)
    classifier = fit_linear(rows, labels, num_classes=num_classes)
    words = (
        "logistic regression on standardised features, C = "
        f"{classifier.regularisation:g} chosen on a tenth of the training images"
    )
    if not classifier.converged:
        words += " (not converged)"
    return words, accuracy(classifier.predict_scores(queries), query_labels)


def _file_name(options: types.SimpleNamespace, layer: str) -> str:
    """One file a question: what differs from the run's own data and the protocol is in the name."""
    words = [options.classifier, layer, options.bank]
    if options.classifier == "knn" and (options.k, options.knn_temperature) != (200, 0.1):
        words.append(f"k{options.k}_t{options.knn_temperature:g}")
    for name in ("data", "train_split", "eval_split", "eval_data", "labels"):
        if getattr(options, name):
            words.append(re.sub(r"[^\w.-]+", "-", f"{name}-{getattr(options, name)}"))
    return "_".join(words) + ".json"


def _write(run: Workdir, report: dict, name: str):
    run.evaluations.mkdir(parents=True, exist_ok=True)
    path = run.evaluations / name
    temporary = path.with_name(name + ".partial")
    temporary.write_text(json.dumps(report, indent=2) + "\n")
    os.replace(temporary, path)
    return path


def _print(run: Workdir, report: dict, path) -> None:
    figures = "  ".join(
        f"{name.replace('top', 'top-')} {report[name]:.2f} %"
        for name in ("top1", "top5")
        if name in report
    )
    print(f"{run.path}: {figures}")
    print(f"{report['protocol']}; {report['queries']} against {report['reference']}")
    print(f"Written to {path}")
