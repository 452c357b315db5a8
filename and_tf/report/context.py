"""The data from which all sections of the page are built, read and computed once."""

import dataclasses
import logging
from pathlib import Path

import keras
import numpy as np

from and_tf.data.sources.source import Source
from and_tf.evaluation.knn_during_training import ChosenImages, choose_images
from and_tf.report.entropy import Entropy, entropy_of
from and_tf.report.record import Record, read_record
from and_tf.report.run_images import RunImages, open_run_images
from and_tf.report.sample import Sample, embed_sample, names_of_classes, predictions
from and_tf.report.settings import ReportSettings
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import ExperimentSettings

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ReportContext:
    """A run as the sections of its page see it.

    Attributes:
        run: the folder.
        checkpoint: the one that is reported on: `last`, `best` or `round_N`.
        checkpoint_bytes: size of its file.
        record: the files of the run, up to that checkpoint.
        encoder: of that checkpoint.
        reference: sample of the training images.
        queries: sample of the held-out images, or None.
        predicted: (Q,) int, the queries' classes by weighted kNN; None without labels.
        classes: names of the labels; empty without labels.
        entropy: of the reference images.
        page_folder: folder of the page, to which addresses of files are relative.
        command: how to write the page again, for the reader; may be empty.
        control_command: how to train the control, which shows what the neighbours gained; may be
            empty.
        remarks: sentences about images that have changed since the run.
    """

    run: Workdir
    checkpoint: str
    checkpoint_bytes: int
    record: Record
    encoder: keras.Model
    reference: Sample
    queries: Sample | None
    predicted: np.ndarray | None
    classes: list[str]
    entropy: Entropy
    page_folder: Path
    command: str = ""
    control_command: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def settings(self) -> ExperimentSettings:
        return self.record.settings

    @property
    def image_size(self) -> int:
        """Side of the encoder's input in pixels."""
        return self.settings.augmentation.image_size

    @property
    def train(self) -> Source:
        """All training images."""
        return self.reference.whole

    @property
    def knn_images(self) -> ChosenImages:
        """The training images that kNN used during training."""
        return choose_images(len(self.train), self.settings.run.eval_images)

    @property
    def held_out(self) -> Source | None:
        """All held-out images."""
        return None if self.queries is None else self.queries.whole

    @property
    def held_out_labels(self) -> np.ndarray:
        """(n,) int, of the held-out images that have a label."""
        if self.held_out is None or self.held_out.labels is None:
            return np.array([], int)
        return self.held_out.labels[self.held_out.labels >= 0]


def read_context(
    run: Workdir,
    checkpoint: str,
    settings: ReportSettings,
    command: str = "",
    images: RunImages | None = None,
    control_command: str = "",
) -> ReportContext:
    """Restores the encoder, opens the images of the run and embeds samples of them.

    Args:
        run: the folder.
        checkpoint: `last`, `best` or `round_N`.
        settings: which images to use, and where they are.
        command: how to write the page again.
        images: those of the run, if they are open already.
        control_command: how to train the control, which shows what the neighbours gained.

    Raises:
        NotFound: if there is no run, no checkpoint or no image.
        BrokenFile: if a file of the run is corrupt.
        UserError: if its images are different ones.
    """
    images = images or open_run_images(run, settings)
    train, held_out = images.train, images.held_out
    restored = restore_encoder(run, checkpoint)
    record = read_record(run, restored.step)
    size = record.settings.augmentation.image_size
    logger.info("Embedding training images of %s", train.name)
    reference = embed_sample(restored.encoder, train, size, settings.images, images.present)
    queries = None
    if held_out is not None:
        logger.info("Embedding held-out images of %s", held_out.name)
        queries = embed_sample(restored.encoder, held_out, size, settings.queries)
    classes = names_of_classes(train, held_out)
    predicted = None
    if reference.is_labelled and queries is not None and queries.is_labelled:
        predicted = predictions(reference, queries, len(classes))
    return ReportContext(
        run=run,
        checkpoint=checkpoint,
        checkpoint_bytes=restored.path.stat().st_size,
        record=record,
        encoder=restored.encoder,
        reference=reference,
        queries=queries,
        predicted=predicted,
        classes=classes,
        entropy=entropy_of(record, reference),
        page_folder=settings.page_path(run.path).parent,
        command=command,
        control_command=control_command,
        remarks=images.remarks,
    )
