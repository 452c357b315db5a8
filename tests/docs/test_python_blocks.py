"""The Python blocks of the README and of docs/ run, page by page, from top to bottom."""

import contextlib
import io
import sys
import types

import keras
import numpy as np
import pytest
from helpers.pages import PAGES, code_blocks, page_name
from PIL import Image

import and_tf

PYTHON_PAGES = [page for page in PAGES if code_blocks(page.read_text(), "python")]


@pytest.fixture(scope="module")
def small_encoder(thin_resnet):
    return and_tf.build_encoder("resnet_small", (32, 32, 3), embedding_dim=16, seed=0)


@pytest.fixture
def files(tmp_path, monkeypatch, small_encoder):
    """What the blocks read: photos, and the table and exports of a run, in the working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(130):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number:03}.jpg")
    return tmp_path


def write_exports(folder, encoder):
    for format, name in (
        ("savedmodel", "encoder"),
        ("keras", "encoder.keras"),
        ("onnx", "encoder.onnx"),
        ("litert", "encoder.tflite"),
    ):
        and_tf.export.export_encoder(encoder, folder / "runs" / "photos" / "export" / name, format)


def write_features(folder, encoder):
    from and_tf.collection.embed import embed_folder
    from and_tf.collection.settings import embed_settings

    encoder.save(folder / "encoder.keras")
    values = {"model": "encoder.keras", "images": "photos", "neighbours": 10, "clusters": 20}
    embed_folder(embed_settings(values))


def small_application(weights, include_top, pooling, input_shape, alpha):
    """In place of a network of 150 layers; tests/methods/test_keras_use.py trains a whole one."""
    images = keras.Input(input_shape)
    x = keras.layers.ReLU()(keras.layers.Conv2D(8, 3, strides=4, use_bias=False)(images))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def choices():
    """Takes out of the dicts of choices what a page has put in."""
    from and_tf.data.sources import SOURCES
    from and_tf.encoders import ENCODERS
    from and_tf.evaluation.protocols import PROTOCOLS
    from and_tf.methods import METHODS
    from and_tf.methods.anchor_neighbourhoods.selection import RULES
    from and_tf.report.sections import SECTIONS

    dicts = [ENCODERS, METHODS, PROTOCOLS, RULES, SOURCES]
    before, sections = [dict(each) for each in dicts], list(SECTIONS)
    yield
    SECTIONS[:] = sections
    for each, entries in zip(dicts, before, strict=True):
        each.clear()
        each.update(entries)


SETUP = {
    "docs/exports.md": [write_exports],
    "docs/getting_started.md": [write_features],
}


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=page_name)
def test_python_blocks_run(page, files, choices, small_encoder, monkeypatch):
    monkeypatch.setattr(keras.applications, "MobileNetV2", small_application)
    for prepare in SETUP.get(page_name(page), []):
        prepare(files, small_encoder)
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look for hints
    for block in code_blocks(page.read_text(), "python"):
        # Empty lines put the block where it stands in the page, for tracebacks.
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, vars(module))
