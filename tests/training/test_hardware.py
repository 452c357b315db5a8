"""What is found out about the machine, and what follows from it."""

import logging
import pathlib
import types

import pytest
import tensorflow as tf

from and_tf.training import hardware


@pytest.fixture
def machine(monkeypatch, tmp_path, caplog):
    """Sets GPUs and /proc/cpuinfo; gives what `log_devices` logs."""
    monkeypatch.setattr(logging.getLogger("and_tf"), "propagate", True)
    caplog.set_level(logging.INFO, "and_tf")

    def logged(precision, is_xla_on, gpus=(), slowdown=8.0, nvidia=()):
        devices = [types.SimpleNamespace(name=name) for name in gpus]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda gpu: {"device_name": gpu.name}
        )
        info = tmp_path / "cpuinfo"
        info.write_text("processor\t: 0\nmodel name\t: Model 7: fast\n\n")
        monkeypatch.setattr(hardware, "CPU_INFO", info)
        monkeypatch.setattr(hardware, "num_cores", lambda: 4)
        monkeypatch.setattr(hardware, "slowdown", lambda half: slowdown)
        monkeypatch.setattr(hardware, "NVIDIA_FILES", tuple(map(pathlib.Path, nvidia)))
        monkeypatch.setattr(hardware.shutil, "which", lambda name: None)
        hardware.log_devices(precision, is_xla_on)
        return caplog.messages

    return logged


def test_a_cpu_is_named_with_its_cores(machine):
    (line,) = machine("float32", False)
    version = tf.__version__
    assert line == f"CPU Model 7: fast, 4 cores; TensorFlow {version}, float32, XLA off."


def test_gpus_are_named(machine):
    (line,) = machine("mixed_bfloat16", True, gpus=["H100", "A100"], nvidia=["/"])
    assert line.startswith("GPU H100, A100; ") and line.endswith("mixed_bfloat16, XLA on.")


def test_an_nvidia_device_that_tensorflow_does_not_see_comes_with_the_install_line(machine):
    _, warning = machine("float32", False, nvidia=["/nowhere", "/"])
    assert warning.endswith('pip install "tensorflow[and-cuda]"')


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_half_precision_on_a_cpu_that_emulates_it_is_warned_of_with_the_remedy(machine, half):
    _, warning = machine(f"mixed_{half}", False)
    assert f"in {half} a convolution takes 8.0 times as long on this CPU as in float32" in warning
    assert "Train with precision='float32', in another workdir." in warning


def test_half_precision_on_a_cpu_that_multiplies_it_is_not(machine):
    assert len(machine("mixed_bfloat16", False, slowdown=0.9)) == 1


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_the_slowdown_of_half_precision_is_that_of_steps_of_these_types(monkeypatch, half):
    seconds = iter([[0.9, 0.8, 1.0], [0.2, 0.1, 0.3]])
    types_used = []

    def conv2d(images, *others):
        types_used.append(images.dtype.name)
        return images

    def repeat(step, number, repeat):
        step()
        return next(seconds)

    monkeypatch.setattr(tf.nn, "conv2d", conv2d)
    monkeypatch.setattr(hardware.timeit, "repeat", repeat)
    assert hardware.slowdown(half) == pytest.approx(8)
    assert types_used == [half, "float32"]


@pytest.mark.parametrize(
    ("gpus", "replicas", "wanted", "expected"),
    [(0, 1, 0, 1), (1, 1, 0, 50), (2, 2, 0, 1), (1, 1, 3, 3)],
)
def test_on_one_gpu_many_steps_are_run_at_once(monkeypatch, gpus, replicas, wanted, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [None] * gpus)
    assert hardware.steps_per_execution(wanted, replicas) == expected
