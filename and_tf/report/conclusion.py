"""The verdict of the page as lines of text, for the end of a run."""

import keras

from and_tf.data.sources.source import Source
from and_tf.evaluation.knn_during_training import choose_images
from and_tf.report.record import read_record
from and_tf.report.sample import embed_sample
from and_tf.report.spread import measure_spread
from and_tf.report.verdict.control import find_control
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.judge import judge
from and_tf.report.verdict.neighbours import QUESTION
from and_tf.runs.workdir import Workdir
from and_tf.training.build import Experiment

IMAGES = 1_000  # whose embeddings show how far they spread


def conclude_experiment(experiment: Experiment, control_command: str = "") -> list[str]:
    """Calls `conclude` with the parts of a run, for `run_experiment`."""
    encoder = experiment.model.encoder
    return conclude(experiment.run, encoder, experiment.train, experiment.held_out, control_command)


def conclude(
    run: Workdir,
    encoder: keras.Model,
    train: Source,
    held_out: Source | None,
    control_command: str = "",
) -> list[str]:
    """The verdict on a run and its reasons, as on the page of a report.

    Args:
        run: the folder, with all its metrics.
        encoder: as trained.
        train, held_out: the images of the run.
        control_command: how to train the control, which shows what the neighbours gained.

    Returns:
        Lines of text: the headline, the reasons, and what the neighbours gained if they were used.
    """
    record = read_record(run)
    settings = record.settings
    sample = embed_sample(encoder, train, settings.augmentation.image_size, IMAGES)
    chosen = choose_images(len(train), settings.run.eval_images)
    labels = None if held_out is None or held_out.labels is None else held_out.labels
    evidence = Evidence(
        record,
        measure_spread(sample.embeddings),
        labels=None if labels is None else labels[labels >= 0],
        train_labels=chosen.query_labels(train.labels),
        control=find_control(run, record),
        control_command=control_command,
    )
    verdict = judge(evidence)
    lines = [f"Verdict: {verdict.headline}", *(f"  {reason}" for reason in verdict.reasons)]
    if verdict.neighbours:
        lines += [QUESTION, *(f"  {sentence}" for sentence in verdict.neighbours)]
    return lines
