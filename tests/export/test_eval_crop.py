"""A run that evaluates a centre crop: embedding and every export see the very same pixels."""

import dataclasses

import numpy as np
import pytest
from helpers.encoder_runs import make_encoder_run
from helpers.pictures import write_photos

import and_tf
from and_tf.data import open_source
from and_tf.encoders import pooled_features
from and_tf.encoders.border import without_border
from and_tf.encoders.pretrained.opening import own_size
from and_tf.evaluation.features import extract
from and_tf.export import load_exported
from and_tf.export.run import export_finished_run, export_run
from and_tf.export.settings import ExportSettings
from and_tf.runs.restore import load_encoder
from and_tf.runs.settings import RunChoice
from and_tf.runs.workdir import Workdir

pytestmark = pytest.mark.usefixtures("thin_resnet")

SHAPES = [(30, 20), (12, 41), (97, 96), (8, 8)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 8 pixels with a crop of 0.8, the photos of its folder, and its embeddings."""
    here = tmp_path_factory.mktemp("run")
    encoder = make_encoder_run(here / "run")["last"]
    write_photos(here / "photos", SHAPES)
    with open(here / "run/flags.cfg", "a") as flags:
        flags.write(f"--eval_crop=0.8\n--data=folder:{here}/photos\n")
    source = open_source(f"folder:{here}/photos")
    assert not np.array_equal(source.load(range(4), 8), source.load(range(4), 10)[:, 1:9, 1:9])
    evaluated = dataclasses.replace(source, eval_crop=0.8)
    return here, extract(encoder, evaluated, 8, progress=False), source.load(range(4), 10)


def test_a_run_embeds_what_it_evaluates(run):
    here, expected, _ = run
    found = and_tf.embed(here / "photos", here / "run", layer="fc").embeddings
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_export_takes_resized_images_and_crops_them_itself(run, tmp_path):
    here, expected, resized = run
    path = str(tmp_path / "encoder.keras")
    export_run(RunChoice(str(here / "run")), ExportSettings("keras", layer="fc", output=path))
    exported = load_exported(path)
    assert exported.image_size == 10
    np.testing.assert_allclose(exported(resized), expected, atol=1e-5)
    np.testing.assert_allclose(and_tf.embed(here / "photos", path).embeddings, expected, atol=1e-5)
    # Weights to start from are of what the network sees.
    assert own_size(path) == 8 == own_size(str(here / "run"))


def test_a_finished_run_compares_its_exports_on_images_with_a_border(run, monkeypatch):
    here, _, resized = run
    written = []
    monkeypatch.setattr(
        "and_tf.export.run.write_export",
        lambda encoder, path, form, samples, layer: written.append((encoder, samples)),
    )
    inner = without_border(load_encoder(here / "run"))
    images = resized[:, 1:9, 1:9]
    export_finished_run(Workdir(here / "run"), inner, images)
    expected = pooled_features(inner)(images, training=False)
    for encoder, samples in written:
        np.testing.assert_allclose(encoder(samples.compared, training=False), expected, atol=1e-6)
    assert len(written) == 2
