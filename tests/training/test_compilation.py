"""`--jit_compile=auto` decides from measurements and says why."""

import types

import pytest

from and_tf import encoders
from and_tf.training import build as experiment
from and_tf.training.compilation import choose_xla


@pytest.mark.parametrize("encoder", encoders.ENCODERS)
def test_xla_is_off_on_a_cpu_and_the_reason_names_the_encoder(encoder):
    choice = choose_xla(encoder, has_gpu=False, replicas=1)
    assert not choice.is_on and encoder in choice.reason and "oneDNN" in choice.reason


@pytest.mark.parametrize("has_gpu", [False, True])
def test_xla_is_off_on_several_devices(has_gpu):
    choice = choose_xla("alexnet", has_gpu, replicas=2)
    assert not choice.is_on and "there are 2" in choice.reason


def test_what_was_not_measured_is_called_assumed():
    choice = choose_xla("alexnet", has_gpu=True, replicas=1)
    assert choice.is_on and "assumed" in choice.reason


def test_a_run_says_its_decision_once_and_only_where_it_decides(capsys):
    for wanted, expected in (("on", True), ("off", False), ("auto", False)):
        options = types.SimpleNamespace(jit_compile=wanted, encoder="resnet18")
        assert experiment._use_xla(options, replicas=1) is expected
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("XLA off: on a CPU oneDNN is 1.8 times as fast for resnet18; ")
