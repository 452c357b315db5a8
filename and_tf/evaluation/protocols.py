"""The protocols of evaluate.py: from the features of one layer to rows of figures, and to words."""

from dataclasses import dataclass

import numpy as np

from and_tf.evaluation.clustering import cluster_figures, clusters
from and_tf.evaluation.few_shot import few_shot_accuracy
from and_tf.evaluation.images import EvaluationImages
from and_tf.evaluation.knn import accuracy, nearest_neighbour, ranking_accuracy, sweep_knn
from and_tf.evaluation.linear import fit_linear
from and_tf.evaluation.retrieval import answerable, retrieval

FEW_SHOT_SEEDS = 5
CLUSTER_SEEDS = 5
MANY_PRODUCTS = 2**29  # in a step of k-means; beyond them a single seed has to do


@dataclass
class Outcome:
    """One row of the results, and the predicted class of each query (Q,) where there is one."""

    row: dict
    predictions: np.ndarray | None = None


def _block_bytes(options) -> int:
    return options.memory_mb << 18  # a quarter; the features of each source may take one, too


def _knn(options, images, rows, queries) -> list[Outcome]:
    labels, query_labels = images.reference.labels, images.queries.labels
    ranked = sweep_knn(
        rows,
        labels,
        queries,
        options.k or [200],
        options.knn_temperature or [0.1],
        num_classes=len(images.class_names),
        budget_bytes=_block_bytes(options),
        progress=True,
    )
    return [
        Outcome(
            {"k": k, "temperature": temperature} | ranking_accuracy(best, query_labels), best[:, 0]
        )
        for (k, temperature), best in ranked.items()
    ]


def _nn(options, images, rows, queries) -> list[Outcome]:
    predictions = nearest_neighbour(
        rows, images.reference.labels, queries, _block_bytes(options), progress=True
    )
    figures = ranking_accuracy(predictions[:, None], images.queries.labels, top=[1])
    return [Outcome(figures, predictions)]


def _linear(options, images, rows, queries) -> list[Outcome]:
    labels, query_labels = images.reference.labels, images.queries.labels
    if options.few_shot:
        seeds = options.few_shot_seeds or FEW_SHOT_SEEDS
        found = few_shot_accuracy(
            rows,
            labels,
            queries,
            query_labels,
            shots=options.few_shot,
            num_seeds=seeds,
            class_names=images.class_names,
        )
        return [
            Outcome({"shots": shots, "seeds": seeds, "top1": mean, "top1_deviation": deviation})
            for shots, (mean, deviation) in found.items()
        ]
    classifier = fit_linear(
        rows, labels, num_classes=len(images.class_names), memory_mb=options.memory_mb // 2
    )
    scores = classifier.predict_scores(queries)
    row = {"regularisation": classifier.regularisation, "converged": classifier.converged}
    return [Outcome(row | accuracy(scores, query_labels), scores.argmax(axis=1))]


def _retrieval(options, images, rows, queries) -> list[Outcome]:
    figures = retrieval(
        rows,
        images.reference.labels,
        queries,
        images.queries.labels,
        exclude_self=images.same,
        budget_bytes=_block_bytes(options),
        progress=True,
    )
    return [Outcome(figures)]


def _clusters(options, images, rows, queries) -> list[Outcome]:
    number = num_clusters(options, images)
    needed = 12 * queries.shape[0] * queries.shape[1]  # as they are, of unit length, in k-means
    if needed > options.memory_mb << 20:
        raise ValueError(
            f"k-means on {queries.shape[0]} features of {queries.shape[1]} values needs "
            f"{needed >> 20} MB: raise --memory_mb={options.memory_mb}, lower --max_values or "
            "choose --layer=fc."
        )
    embeddings = queries.load()
    seeds = CLUSTER_SEEDS if number * embeddings.size <= MANY_PRODUCTS else 1
    found = [clusters(embeddings, number, seed) for seed in range(seeds)]
    figures = [cluster_figures(embeddings, each, images.queries.labels) for each in found]
    row = {
        "clusters": number,
        "seeds": seeds,
        "filled": min(len(np.unique(each)) for each in found),
    }
    for name in figures[0]:
        values = [each[name] for each in figures if name in each]
        row[name] = float(np.mean(values))
        if len(values) > 1:
            row[f"{name}_deviation"] = float(np.std(values, ddof=1))
    return [Outcome(row)]


PROTOCOLS = {
    "knn": _knn,
    "nn": _nn,
    "linear": _linear,
    "retrieval": _retrieval,
    "clusters": _clusters,
}


def num_clusters(options, images: EvaluationImages) -> int:
    """The number asked for, or that of the classes."""
    if options.clusters is not None:
        return options.clusters
    labels = images.queries.labels
    return len(np.unique(labels[labels >= 0]))


def in_words(options, images: EvaluationImages, rows: list[dict]) -> str:
    """The protocol in words."""

    def values(name):
        return ", ".join(f"{value:g}" for value in dict.fromkeys(row[name] for row in rows))

    if options.classifier == "knn":
        return f"weighted kNN, K = {values('k')}, temperature {values('temperature')}"
    if options.classifier == "nn":
        return "nearest neighbour, cosine"
    if options.classifier == "retrieval":
        return "retrieval by cosine" + (", an image does not find itself" if images.same else "")
    if options.classifier == "clusters":
        words = f"k-means on L2-normalised features, {values('clusters')} clusters"
        return words + _seeds_in_words(rows)
    words = "logistic regression on standardised features"
    if options.few_shot:
        return f"{words}, {values('shots')} labels a class" + _seeds_in_words(rows)
    several = len({row["regularisation"] for row in rows}) > 1
    words += ", C of each layer" if several else f", C = {values('regularisation')}"
    words += " chosen on a tenth of the training images"
    return words if all(row["converged"] for row in rows) else f"{words} (not converged)"


def _seeds_in_words(rows) -> str:
    seeds = rows[0]["seeds"]
    return f", mean (deviation) of {seeds} seeds" if seeds > 1 else ", one seed"


def notes_on(options, images: EvaluationImages, rows: list[dict]) -> list[str]:
    """Sentences on what a reader of the figures must know."""
    notes = []
    if options.classifier == "knn":
        labels = images.reference.labels
        known = int((labels >= 0).sum())
        if max(options.k or [0]) > known:
            notes.append(f"K above {known}, the number of labelled reference images, counts as it.")
        if len({(row["k"], row["temperature"]) for row in rows}) > 1:
            notes.append(
                "The best of several settings is no fair figure on the images it was chosen on: "
                "choose on others, as by --train_split=train[:90%] --eval_split=train[90%:]."
            )
    if options.classifier in ("knn", "nn", "linear") and images.same:
        notes.append("The images to classify are the reference images: each knows its own label.")
    if options.classifier == "retrieval":
        labels, query_labels = images.reference.labels, images.queries.labels
        asked = (query_labels >= 0) & ~answerable(labels, query_labels, images.same)
        if asked.any():
            notes.append(f"{asked.sum()} images are the only one of their class and left out.")
    for row in rows:
        if row.get("filled", 0) < row.get("clusters", 0):
            notes.append(
                f"Layer {row['layer']} fills {row['filled']} of {row['clusters']} clusters: many "
                "embeddings are equal."
            )
    return notes
