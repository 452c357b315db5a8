"""evaluate.py: runs one protocol on the features of one layer, or of all layers, of a run."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from and_tf import encoders
from and_tf.data.manifest import changes, edited, manifest
from and_tf.data.settings import AugmentationSettings, DataSettings
from and_tf.data.sources.source import Source
from and_tf.data.subsets import has_labels
from and_tf.encoders.pooling import chosen_layer
from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.evaluation import results
from and_tf.evaluation.confusion import confusion_matrix
from and_tf.evaluation.features import extract_layers
from and_tf.evaluation.images import EvaluationImages, open_images
from and_tf.evaluation.protocols import EncoderInput, Outcome, ProtocolInput
from and_tf.evaluation.settings import ALL_LAYERS, EvaluationSettings
from and_tf.methods.choice import MethodChoice
from and_tf.runs.checkpoint import fault_of_values
from and_tf.runs.restore import RestoredEncoder, restore_encoder
from and_tf.runs.workdir import Workdir, open_run


def evaluate_run(settings: EvaluationSettings) -> dict[str, Any]:
    """Evaluates a run with one protocol and writes the results to the run's folder.

    Args:
        settings: the run and its checkpoint, images, features and protocol.

    Returns:
        The report that was written; see `results`.

    Raises:
        NotFound: if there is no run or no checkpoint.
        UserError: if the layer, the data or the checkpoint do not fit.
    """
    run = open_run(settings.run.workdir)
    run.check_folders()
    of_run = run.read_settings(DataSettings)
    is_of_memory = settings.features.bank == "memory"
    bank = _bank_array(run) if is_of_memory else None
    restored = restore_encoder(run, settings.run.checkpoint, bank or "")
    layers = encoders.layer_names(restored.encoder)
    layer = settings.features.layer
    if layer != ALL_LAYERS:
        layer = chosen_layer(restored.encoder, layer)
        layers = [layer]
    chosen = settings.images.applied_to(of_run)
    images = open_images(chosen, of_run, settings.protocol, run.read_metadata())
    if settings.images.data is None and settings.images.train_split is None:
        _check_images(run, images)
        if settings.images.eval_data is None and settings.images.eval_split is None:
            _check_held_out(run, images)
    settings.protocol.check(images)
    rows = _memory_bank(run, restored, images.reference) if is_of_memory else None
    outcomes = _measure(settings, run, restored.encoder, layers, images, rows)
    report = _report(settings, images, layer, layers, outcomes)
    report |= {"step": restored.step, "epoch": _epoch_at(run, restored.step)}
    matrices = _confusion_matrices(images, outcomes)
    stem = results.file_stem(settings, layer)
    path = results.write_results(run.evaluations, stem, report, matrices, images.class_names)
    _print(run, report, path)
    return report


def _check_images(run: Workdir, images: EvaluationImages) -> None:
    """Refuses images that differ from the run's own, and adds a remark on other changes.

    Raises:
        UserError: if the bytes of some images differ under the same name.
    """
    if not run.images.is_file():  # a run of an earlier version
        return
    known, found = run.read_images(), manifest(images.reference)
    if different := edited(known, found):
        raise UserError(
            f"{images.reference.name} is not what the run in {run.path} began with: {different}. "
            "Put those images back, or, to evaluate on these, name them with ",
            Argument("data"), ".",
        )  # fmt: skip
    if different := changes(known, found):
        images.remarks.append(f"The training images have changed since the run began: {different}.")


def _check_held_out(run: Workdir, images: EvaluationImages) -> None:
    """Refuses held-out images that differ from the run's own, as `_check_images` does.

    Raises:
        UserError: if their content differs under the same names and sizes.
    """
    known = run.read_metadata()
    content, queries = known.get("held_out_content"), images.queries
    if images.same or content in (None, manifest(queries).content):
        return
    if known.get("held_out_fingerprint") == queries.fingerprint:
        raise UserError(
            f"{queries.name} is not what the run in {run.path} began with: held-out images were "
            "edited. Put those images back, or, to evaluate on these, name them with ",
            Argument("eval_data"), ".",
        )  # fmt: skip
    images.remarks.append("The held-out images have changed since the run began.")


def _epoch_at(run: Workdir, step: int) -> int:
    """Epochs that were finished at a step, according to the run's metrics."""
    records = run.read_metrics()
    return max((r["epoch"] for r in records if r["step"] <= step and "epoch" in r), default=0)


def _measure(
    settings: EvaluationSettings,
    run: Workdir,
    encoder: keras.Model,
    layers: list[str],
    images: EvaluationImages,
    bank: np.ndarray | None,
) -> list[Outcome]:
    """The outcomes of every layer, from one pass over each source; a bank replaces references."""
    given = EncoderInput(
        images,
        encoder,
        layers,
        run.read_settings(AugmentationSettings).image_size,
        settings.features.max_values or settings.protocol.max_values,
        memory_bytes=settings.features.memory_mb << 20,
        folder=run.path,  # the disk that holds checkpoints; /tmp may be memory
    )
    settings.protocol.check_cost(given)
    if settings.protocol.takes_images:
        return settings.protocol.run_on_images(given)
    return _measure_features(settings, given, bank)


def _measure_features(
    settings: EvaluationSettings, measured: EncoderInput, bank: np.ndarray | None
) -> list[Outcome]:
    """The outcomes of a protocol on features."""
    images, layers = measured.images, measured.layers

    def features(source: Source) -> dict[str, np.ndarray]:
        return extract_layers(
            measured.encoder,
            layers,
            source,
            measured.image_size,
            max_values=measured.max_values,
            memory_mb=measured.memory_bytes >> 22,
            folder=measured.folder,
        )

    queries = features(images.queries)
    if bank is not None:
        reference = {"fc": bank}
    elif images.same or not settings.protocol.uses_reference:
        reference = queries
    else:
        reference = features(images.reference)
    outcomes = []
    for layer in layers:
        given = ProtocolInput(images, reference[layer], queries[layer], measured.memory_bytes)
        found = settings.protocol.run(given)
        for outcome in found:
            outcome.row = {"layer": layer, "values": queries[layer].shape[1]} | outcome.row
        outcomes += found
    return outcomes


def _bank_array(run: Workdir) -> str | None:
    """The name of the training bank in a run's checkpoints; None for a method without one."""
    return run.read_settings(MethodChoice).method_class.bank_array


def _memory_bank(run: Workdir, restored: RestoredEncoder, reference: Source) -> np.ndarray:
    """The rows of the training bank, which must belong to the reference images."""
    rows = restored.others.get(_bank_array(run) or "")
    if rows is None:
        raise UserError(
            f"{restored.path} holds no bank: use ", Argument("checkpoint", "last"), " or ",
            Argument("bank", "recomputed"), ".",
        )  # fmt: skip
    if run.read_metadata().get("fingerprint") != reference.fingerprint:
        raise UserError(
            Argument("bank", "memory"), f" holds the images of the run, not {reference.name}: "
            "leave out ", Argument("data"), " and ", Argument("train_split"), ", or use ",
            Argument("bank", "recomputed"), ".",
        )  # fmt: skip
    expected = len(reference), restored.encoder.output_shape[-1]
    if rows.shape != expected or rows.dtype.kind != "f" or fault_of_values(rows):
        raise BrokenFile(
            f"The checkpoint {restored.path} is corrupt: its bank does not hold finite numbers "
            f"of shape {expected}. Restore it from a copy, or use ",
            Argument("bank", "recomputed"), ".",
        )  # fmt: skip
    return rows


def _report(
    settings: EvaluationSettings,
    images: EvaluationImages,
    layer: str,
    layers: list[str],
    outcomes: list[Outcome],
) -> dict[str, Any]:
    """The report that is written and printed; see `results`."""
    protocol = settings.protocol
    rows = [_rounded(outcome.row) for outcome in outcomes]
    place = f"layer {layers[0]}, {rows[0]['values']} values"
    if len(layers) > 1:
        place = f"layers {', '.join(layers)}"
    report: dict[str, Any] = {
        "classifier": settings.choice.classifier,
        "protocol": f"{protocol.describe(images, rows)}, {place}",
        "layer": layer,
        "checkpoint": settings.run.checkpoint,
        "queries": _describe_source(images.queries),
        "rows": rows,
    }
    if protocol.uses_reference:
        report["reference"] = _describe_source(images.reference)
        report["protocol"] += f", bank {settings.features.bank}"
    if len(rows) == 1:
        report |= {name: rows[0][name] for name in protocol.metric_titles if name in rows[0]}
    return report | {"notes": images.remarks + protocol.remarks(images, rows)}


def _describe_source(source: Source) -> str:
    known = int((source.labels >= 0).sum()) if source.labels is not None else 0
    is_partly = has_labels(source.labels) and known < len(source)
    return f"{source.name}, {len(source)} images" + (f", {known} with a label" * is_partly)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {n: round(value, 6) if isinstance(value, float) else value for n, value in row.items()}


def _confusion_matrices(images: EvaluationImages, outcomes: list[Outcome]) -> dict[str, np.ndarray]:
    """{layer: matrix (C, C)} from the first setting of each layer."""
    matrices: dict[str, np.ndarray] = {}
    for outcome in outcomes:
        if outcome.predictions is not None and outcome.row["layer"] not in matrices:
            matrices[outcome.row["layer"]] = confusion_matrix(
                images.query_labels, outcome.predictions, len(images.class_names)
            )
    return matrices


def _print(run: Workdir, report: dict[str, Any], path: Path) -> None:
    checkpoint = report["checkpoint"]
    of_checkpoint = "" if checkpoint == "last" else f", checkpoint {checkpoint}"
    print(f"{run.path}{of_checkpoint}: {report['protocol']}")
    against = f" against {report['reference']}" if "reference" in report else ""
    print(f"{report['queries']}{against}\n\n{results.table(report['rows'])}\n")
    for remark in report["notes"]:
        print(remark)
    print(f"Written to {path}")
    if report["files"]:
        layer = ".LAYER" if report["layer"] == ALL_LAYERS else ""
        print(f"Classes in {path.stem}{layer}.per_class.csv, .confusion.csv and .confusion.png")
