"""Runs of train.py without what takes long: for tests of what goes on around the encoder."""

from and_tf.training import encoder
from benchmarks.soak_small import small_encoder


def make_runs_small(patch):
    """A small encoder in place of a deep one, and no exports at the end."""
    patch.setattr(encoder, "build_encoder", small_encoder)
    skip_exports(patch)


def export_keras_alone(patch):
    """Runs end with the .keras file: a SavedModel, which decodes photos, is traced for seconds."""
    patch.setattr("and_tf.export.run.FORMATS_AT_END", ("keras",))


def skip_exports(patch):
    patch.setattr("and_tf.export.run.export_finished_run", lambda *others: None)
