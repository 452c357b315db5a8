"""The encoder of a run is exported in the state that is asked for."""

import dataclasses
import itertools

import numpy as np
import pytest
from helpers.encoder_runs import make_encoder_run

from and_tf.encoders import pooled_features
from and_tf.encoders.pooling import chosen_layer
from and_tf.errors import NotFound, UserError
from and_tf.export import load_exported, run
from and_tf.export.formats import FORMATS
from and_tf.export.run import export_finished_run, export_run
from and_tf.export.settings import ExportSettings
from and_tf.runs.settings import RunChoice
from and_tf.runs.workdir import Workdir

pytestmark = pytest.mark.usefixtures("thin_resnet")

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, make_encoder_run(folder)


@pytest.mark.parametrize("state", ["last", "best", "round_0"])
def test_any_state_of_a_run_is_exported(runs, state, tmp_path):
    folder, encoders = runs
    output = str(tmp_path / "encoder.keras")
    settings = ExportSettings(format="keras", layer="fc", output=output)
    (path,) = export_run(RunChoice(str(folder), state), settings)
    expected = encoders[state].predict(IMAGES, verbose=0)
    np.testing.assert_allclose(load_exported(path)(IMAGES), expected, atol=1e-5)
    others = [encoder for name, encoder in encoders.items() if name != state]
    for other in others:
        assert np.abs(other.predict(IMAGES, verbose=0) - expected).max() > 0.01


EXACT = [name for name, form in FORMATS.items() if form.min_cosine is None]


# Each format, and in turns each layer.
@pytest.mark.parametrize(
    ("form", "layer"), zip(EXACT, itertools.cycle(["auto", "conv4", "fc"]), strict=False)
)
def test_any_layer_of_a_run_is_exported_in_every_exact_format(runs, layer, form, tmp_path):
    folder, encoders = runs
    output = str(tmp_path / f"encoder{FORMATS[form].suffix}")
    settings = ExportSettings(format=form, layer=layer, output=output)
    (path,) = export_run(RunChoice(str(folder)), settings)
    exported = load_exported(path)
    expected = pooled_features(encoders["last"], layer).predict(IMAGES, verbose=0)
    assert exported.embedding_dim == expected.shape[1]
    np.testing.assert_allclose(exported(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize("layer", ["auto", "conv4", "fc"])
def test_an_export_of_a_run_says_which_layer_it_holds(runs, layer, tmp_path):
    folder, encoders = runs
    settings = ExportSettings(format="keras", layer=layer, output=str(tmp_path / "encoder.keras"))
    (path,) = export_run(RunChoice(str(folder)), settings)
    told = load_exported(path).metadata["layer"]
    assert told == chosen_layer(encoders["last"], layer) and (told == "fc") == (layer == "fc")


def test_the_exports_of_a_finished_run_say_which_layer_they_hold(runs, tmp_path):
    folder, encoders = runs
    finished = Workdir(tmp_path / "finished")
    finished.path.mkdir()
    (finished.path / "flags.cfg").write_text((folder / "flags.cfg").read_text())
    savedmodel = export_finished_run(finished, encoders["last"], IMAGES)
    for path in (savedmodel, finished.exports / "encoder.keras"):
        assert load_exported(path).metadata["layer"] == chosen_layer(encoders["last"], "auto")
        assert load_exported(path).metadata["layer"] not in ("embedding", "fc")


def test_a_state_that_is_not_kept_is_refused_by_those_that_are(runs):
    with pytest.raises(NotFound, match=r"checkpoint='round_7' .* last, round_0, best"):
        export_run(RunChoice(str(runs[0]), "round_7"), ExportSettings())


def test_exports_lie_in_the_run_unless_told_otherwise(runs):
    folder, _ = runs
    (path,) = export_run(RunChoice(str(folder)), ExportSettings(format="keras"))
    assert path == folder / "export" / "encoder.keras" and path.is_file()


def test_all_formats_do_not_fit_into_one_file(runs, tmp_path):
    settings = ExportSettings(format="all", output=str(tmp_path / "encoder.keras"))
    with pytest.raises(UserError, match="names one file"):
        export_run(RunChoice(str(runs[0])), settings)


def test_an_export_that_differs_from_the_encoder_is_refused_and_the_older_stays(runs, monkeypatch):
    (older,) = export_run(RunChoice(str(runs[0])), ExportSettings(format="keras"))
    before = older.read_bytes()
    monkeypatch.setattr(run, "verify_export", lambda *arguments: float("nan"))
    settings = dataclasses.replace(ExportSettings(), format="keras")
    with pytest.raises(UserError, match=r"is not written, .* differs from the encoder by nan"):
        export_run(RunChoice(str(runs[0])), settings)
    assert older.read_bytes() == before
