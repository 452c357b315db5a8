"""The start of a program leaves out what Keras does not need, and the program still finds it."""

import gc
import subprocess
import sys

import pytest

from and_tf.cli.quick_import import NOT_NEEDED, quick_import

STARTED = f"""
import gc, sys
from and_tf.cli.tensorflow_start import start_tensorflow
start_tensorflow()
assert not {set(NOT_NEEDED)} & set(sys.modules), "is loaded"
assert gc.isenabled() and gc.get_freeze_count() > 100_000
import keras, matplotlib.pyplot, sklearn.cluster
assert sklearn.cluster.KMeans(2, n_init=1).fit([[0.0], [1.0]]).n_iter_ >= 1
layer = keras.layers.Dense(2, kernel_initializer="ones")
print(float(keras.ops.sum(layer(keras.ops.ones((1, 3))))))
"""


@pytest.mark.system
def test_a_started_program_has_loaded_neither_and_can_use_both():
    ended = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "6.0\n"


@pytest.fixture
def without_tensorflow(monkeypatch):
    """As in a process that has loaded neither TensorFlow nor what is left out."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("tensorflow", *NOT_NEEDED):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(gc, "freeze", lambda: None)  # the garbage of other tests is to be collected


def test_an_import_that_fails_leaves_everything_as_it_was(without_tensorflow):
    with pytest.raises(ZeroDivisionError), quick_import():
        assert not gc.isenabled()
        with pytest.raises(ImportError):
            import sklearn  # noqa: F401
        raise ZeroDivisionError
    assert gc.isenabled() and not set(NOT_NEEDED) & set(sys.modules)


def test_what_is_loaded_already_stays(without_tensorflow, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", gc)
    with quick_import():
        assert sys.modules["sklearn"] is gc and sys.modules["matplotlib"] is None
    assert sys.modules["sklearn"] is gc and "matplotlib" not in sys.modules


def test_in_a_process_that_has_tensorflow_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", gc)
    before = {name: sys.modules.get(name) for name in NOT_NEEDED}
    with quick_import():
        assert gc.isenabled()
        assert {name: sys.modules.get(name) for name in NOT_NEEDED} == before
