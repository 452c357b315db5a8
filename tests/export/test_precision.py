"""Exports of lower precision are smaller, take and give the same types, and stay close."""

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from helpers.trained_encoders import smooth_pixels

from and_tf import export
from and_tf.errors import UserError
from and_tf.export.verification import measure_agreement

LOWER = {"onnx_fp16": "onnx", "litert_fp16": "litert", "litert_int8": "litert"}


@pytest.fixture
def encoder(of_colours):
    return of_colours


@pytest.mark.parametrize(("format", "at_most"), [*zip(LOWER, (0.6, 0.6, 0.4), strict=True)])
def test_the_file_is_smaller(exports_of_colours, format, at_most):
    sizes = [exports_of_colours[name].stat().st_size for name in (format, LOWER[format])]
    assert sizes[0] < at_most * sizes[1]


@pytest.mark.parametrize(
    ("format", "mean", "lowest", "same"),
    [
        ("onnx_fp16", 0.9999, 0.9995, 0.95),
        ("litert_fp16", 0.9999, 0.9995, 0.95),
        ("litert_int8", 0.995, 0.99, 0.85),
    ],
)
def test_embeddings_stay_close_and_float32(exports_of_colours, encoder, format, mean, lowest, same):
    images = smooth_pixels(40, seed=5)
    agreement = measure_agreement(encoder, exports_of_colours[format], images)
    assert 1.0001 > agreement.mean_cosine > mean
    assert agreement.min_cosine > lowest
    assert agreement.same_nearest >= same and agreement.num_images == 40
    found = export.load_exported(exports_of_colours[format])(images[:3])
    assert found.dtype == np.float32 and found.shape == (3, 16)


def test_weights_are_of_the_precision(exports_of_colours):
    session = onnxruntime.InferenceSession(str(exports_of_colours["onnx_fp16"]))
    ends = session.get_inputs() + session.get_outputs()
    assert [end.type for end in ends] == ["tensor(uint8)", "tensor(float)"]
    for format, kind in (("litert_fp16", np.float16), ("litert_int8", np.int8)):
        tensors = tf.lite.Interpreter(str(exports_of_colours[format])).get_tensor_details()
        sizes = dict.fromkeys((np.float16, np.int8, np.float32), 0)
        for tensor in tensors:
            if len(tensor["shape"]) == 4 and tensor["dtype"] in sizes:
                sizes[tensor["dtype"]] += 1
        assert sizes[kind] > 3


def test_other_images_of_the_encoder_are_far(encoder):
    """So that the cosines above tell exports apart."""
    rows = encoder.predict(smooth_pixels(40, seed=5), verbose=0)
    cosines = (rows @ rows.T)[~np.eye(40, dtype=bool)]
    assert abs(cosines.mean()) < 0.1 and np.quantile(cosines, 0.99) < 0.9


def test_other_weights_agree_less(exports_of_colours, encoder):
    shuffled = smooth_pixels(20, seed=6)

    def reversed_rows(images, training=False):
        return encoder(images[::-1], training=training)

    other = type("Reversed", (), {"layers": [], "__call__": staticmethod(reversed_rows)})()
    assert measure_agreement(other, exports_of_colours["litert_int8"], shuffled).mean_cosine < 0.6


def test_int8_needs_typical_images(encoder, tmp_path):
    with pytest.raises(UserError, match="typical images: give some"):
        export.export_encoder(encoder, tmp_path / "a.tflite", "litert_int8")
