"""What stands on the page: the words and lists that its template shows."""

import datetime
import importlib.metadata
import shlex
import types

import numpy as np

from and_tf.report.explorer import NEIGHBOURS, Entropy
from and_tf.report.figures import NOTHING, Comparison
from and_tf.report.published import KNN, Setting, data_name
from and_tf.report.record import Record
from and_tf.report.sample import Sample, named_training_labels, voters
from and_tf.report.settings import ReportSettings
from and_tf.report.verdict import standard_error
from and_tf.runs.settings import RunChoice
from and_tf.settings import defaults, flat_values
from and_tf.training.durations import clock
from and_tf.training.settings import experiment_settings


def subtitle(record: Record, parameters: int) -> str:
    """Method, images, network and length of the run in a line."""
    options = record.options
    method = {"and": "Anchor Neighbourhood Discovery", "instance": "Instance"}[options.method]
    return (
        f"{method} on {record.facts['images']:,} images of {options.data} ({options.train_split}), "
        f"{options.encoder} with {parameters:,} parameters, "
        f"{_count(record.plan.total_epochs, 'epoch')} in {_count(options.rounds + 1, 'round')}, "
        f"seed {options.seed}"
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def setting_of(record: Record, held_out_images: int) -> Setting:
    """What the run's figures depend on, to hold beside published ones."""
    options = record.options
    return Setting(
        data=data_name(options.data),
        images=record.facts["images"],
        held_out_images=held_out_images,
        encoder=options.encoder,
        image_size=options.image_size,
        embedding_dim=options.embedding_dim,
        epochs=record.epochs_done,
    )


def setting_words(comparison: Comparison) -> str:
    setting = comparison.table.setting
    network = {"alexnet": "AlexNet", "resnet18": "ResNet18"}[setting.encoder]
    return f"{setting.data} with {network}"


def published_words(comparison: Comparison) -> str:
    """The published figure for the verdict, where the data set is the run's; else nothing."""
    figure = comparison.table.figure(comparison.method, KNN)
    if figure is None or (comparison.reasons and comparison.is_other_data):
        return ""
    words = f"Published for {comparison.method} on {setting_words(comparison)}: {figure:.1f} %"
    if comparison.reasons:
        return f"{words}, not comparable: {'; '.join(comparison.reasons)}."
    return f"{words}, in the setting of this run."


def rounds_words(record: Record, labels: np.ndarray, train_labels: np.ndarray | None = None) -> str:
    """Protocol of the kNN by round.

    Args:
        record: of the run.
        labels: (n,) int, of the held-out images that have one.
        train_labels: (N,) int, of all training images, -1 where unknown; or None.
    """
    words = []
    if (accuracy := record.latest("knn_top1")) is not None and len(labels):
        words.append(
            f"Top-1 by weighted kNN, K = {voters(train_labels)}, temperature 0.1, of "
            f"{len(labels):,} held-out images against clean features recomputed, and against the "
            f"memory bank; standard error {standard_error(accuracy, len(labels)):.1f} points in "
            "the last row (Agresti and Coull 1998: never 0, not even at 100 %)."
        )
        if (raw := record.facts.get("raw_pixels_knn_top1")) is not None:
            words.append(f"The same kNN on raw pixels: {raw:.1f} %.")
        largest = 100 * np.bincount(labels).max() / len(labels)
        words.append(f"Always naming the largest class: {largest:.1f} %.")
    words += _train_words(record, train_labels)
    words.append(
        "Consistency: share of the neighbours at the round's start that are of their anchor's "
        "class. Labels are never used in training."
    )
    return " ".join(words)


def _train_words(record: Record, train_labels: np.ndarray | None) -> list[str]:
    """Protocol of kNN among the training images, where it was measured."""
    accuracy, (named, others) = record.latest("knn_top1_train"), named_training_labels(train_labels)
    if accuracy is None or not len(named):
        return []
    return [
        f"Among training images: the same kNN, K = {voters(others)}, of {len(named):,} training "
        f"images by the others; standard error {standard_error(accuracy, len(named)):.1f} points."
    ]


def why_no_accuracy(record: Record, train, held_out) -> str:
    """Why there is no kNN accuracy, or an empty string."""
    if record.latest("knn_top1") is not None:
        return ""
    if held_out is None:
        return "there are no held-out images (--eval_split or --eval_data)"
    for source in (train, held_out):
        if source.labels is None or not (source.labels >= 0).any():
            return f"{source.name} has no labels"
    return "no evaluation has been made yet"


def neighbours_words(reference: Sample, queries: Sample | None, is_labelled: bool) -> str:
    which = "Held-out images" if queries is not None else "Training images"
    words = (
        f"{which}, each before its nearest among {reference.words('training')}, with the cosine "
        "similarity of their embeddings by the last checkpoint."
    )
    if is_labelled:
        words += " Framed, and marked with a cross: neighbours of another class."
    return words


def nothing_wrong(queries: Sample | None, predicted: np.ndarray | None) -> str:
    """That kNN named every labelled held-out image rightly, or an empty string."""
    if predicted is None or (predicted != queries.labels)[queries.labels >= 0].any():
        return ""
    return "No held-out image was named wrongly."


def explorer_words(pool: np.ndarray, reference: Sample, entropy: Entropy) -> str:
    return (
        f"{len(pool)} training images, spread evenly over the entropies"
        f"{' of each class' if reference.is_labelled else ''}, lowest entropy first. Choose one to "
        f"see its {min(NEIGHBOURS, len(reference) - 1)} nearest among {reference.words('training')}"
        ", by clean embeddings of the last checkpoint; underlined neighbours can be chosen in "
        f"turn. Entropy is {entropy.origin}."
    )


def cost(record: Record, parameters: int) -> list[tuple[str, str]]:
    """Names and words of what the run took."""
    bank_bytes = 4 * record.facts["images"] * record.options.embedding_dim
    rate = record.images_per_second
    return [
        ("epochs", f"{record.epochs_done:,} of {record.plan.total_epochs:,}"),
        ("images a second", NOTHING if rate is None else f"{rate:,.0f} (median of the epochs)"),
        ("training steps", f"{clock(3600 * record.hours)} ({record.hours:.2f} hours), "
                           "without evaluation and checkpoints"),
        ("memory bank", f"{bank_bytes / 1e6:,.1f} MB"),
        ("parameters", f"{parameters:,}"),
    ]  # fmt: skip


def flag_values(record: Record) -> tuple[list[tuple], list[tuple]]:
    """Names and values of the run's flags: those that differ from the defaults, and the others."""
    standard = flat_values(experiment_settings({"method": record.options.method}))
    changed = _changed(standard, record.options)
    pairs = [(name, _word(value)) for name, value in vars(record.options).items()]
    return (
        [pair for pair in pairs if pair[0] in changed],
        [pair for pair in pairs if pair[0] not in changed],
    )


def command(options: types.SimpleNamespace) -> str:
    """The command that writes this page again."""
    values = vars(options)
    words = [
        f"--{name}={values[name]}"
        for name in _changed(defaults(RunChoice) | defaults(ReportSettings), options)
    ]
    return shlex.join(["python", "report.py", *words])


def versions(record: Record) -> list[tuple[str, str]]:
    """Names and words of what wrote the run and the page, and when."""
    facts = record.facts
    trained = [f"TensorFlow {facts.get('tensorflow')}", f"Keras {facts.get('keras')}",
               f"Python {facts.get('python')}"]  # fmt: skip
    now = datetime.datetime.now().astimezone().replace(microsecond=0)
    return [
        ("trained with", ", ".join(trained)),
        ("written by", f"and_tf {_version()}".strip()),
        ("written on", now.isoformat(" ")),
    ]


def _version() -> str:
    try:
        return importlib.metadata.version("and-tf")
    except importlib.metadata.PackageNotFoundError:
        return ""  # run from a folder, not installed


def _changed(standard: dict, options: types.SimpleNamespace) -> list[str]:
    return [name for name, value in vars(options).items() if value != standard.get(name)]


def _word(value) -> str:
    return "(empty)" if value in ("", None) else str(value)
