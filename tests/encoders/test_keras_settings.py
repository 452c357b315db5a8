"""What a user's environment tells Keras never reaches a result."""

import os
import subprocess
import sys

import keras
import pytest

from and_tf.encoders.build import build_encoder
from and_tf.encoders.keras_settings import LIMITS, check_backend, load_keras
from and_tf.errors import UserError


@pytest.fixture
def own_settings():
    yield
    load_keras()


def test_settings_of_keras_json_are_replaced(own_settings, monkeypatch):
    for name in LIMITS:
        monkeypatch.setenv(name, "1")
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(0.1)
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("float16")
    load_keras()
    assert (keras.config.floatx(), keras.config.epsilon()) == ("float32", 1e-7)
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.dtype_policy().name == "float32"
    assert not set(LIMITS) & os.environ.keys()


def test_no_encoder_is_built_for_channels_first(own_settings):
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(UserError, match=r"set_image_data_format\(\"channels_last\"\)"):
        build_encoder("resnet_small", (16, 16, 3), 8)


def test_another_backend_is_refused_before_keras_is_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras")
    for own in ("", "tensorflow"):
        monkeypatch.setenv("KERAS_BACKEND", own)
        check_backend()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match=r"run on jax, .* needs tensorflow: unset KERAS_BACKEND"):
        check_backend()


@pytest.mark.system
@pytest.mark.parametrize("content", ['{"floatx": "float99"}', "[]"])
def test_a_keras_json_that_keras_does_not_take_is_named(tmp_path, content):
    (tmp_path / "keras.json").write_text(content)
    script = "from and_tf.encoders.keras_settings import load_keras; load_keras()"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert f"Keras cannot read {tmp_path / 'keras.json'}" in last and "correct or remove" in last
