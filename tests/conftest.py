"""Set-up for all tests: package defaults, two logical CPU devices, seeds."""

import gc
import os
import pathlib
import signal

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

from and_tf.cli.quick_import import quick_import  # and_tf sets variables that TensorFlow reads

with quick_import():
    import keras
    import tensorflow as tf

import numpy as np
import pytest
from helpers.browser import browser, chromium, console_errors, requested_urls  # noqa: F401
from helpers.small_runs import export_keras_alone, skip_exports
from helpers.thin_resnet import thin_resnets
from tensorflow.python.framework.config import disable_op_determinism

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)


# Tests that are begun in the background, or by nohup, ignore these, and so would the programs that
# they begin and stop.
for name in ("SIGINT", "SIGHUP"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) == signal.SIG_IGN:
        is_int = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_int else signal.SIG_DFL)


# Traced graphs are hundreds of thousands of objects that live on: the collector goes through them
# less often than by default.
gc.set_threshold(50_000, 20, 20)
gc.unfreeze()  # Hypothesis looks for references, and finds none from frozen objects

# A program waits for the disk after each file that it replaces; no test cuts the power.
os.fsync = lambda descriptor: None

# Whole programs, what is measured with them, whole converters, and the pages' code blocks.
SYSTEM_FOLDERS = ("system", "benchmarks", "export", "docs")


ROOT = pathlib.Path(__file__).parents[1]
IN_ROOT = pytest.StashKey[set[str]]()


def pytest_configure(config):
    """Files go to the processes of `-n` in the order of `pytest_collection_modifyitems`.

    By default xdist begins with those of most tests, and the longest, of few tests, come last:
    one process works on them while the others have nothing left.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_sessionstart(session):
    session.config.stash[IN_ROOT] = names_in_root()


def pytest_sessionfinish(session):
    """Fails where tests left files in the root: by default programs write to where they are run."""
    if hasattr(session.config, "workerinput"):  # of several processes, the first one looks
        return
    added = names_in_root() - session.config.stash[IN_ROOT]
    if added:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"\ntests left {', '.join(sorted(added))} in {ROOT}", red=True)


def names_in_root():
    return {path.name for path in ROOT.iterdir() if path.name[0] != "."}


def pytest_collection_modifyitems(config, items):
    """Marks as `system` the tests of some folders and those in a browser.

    In one of several processes the files that hold such tests come first.
    """
    tests = pathlib.Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if folder in SYSTEM_FOLDERS or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.system)
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if item.get_closest_marker("system")}
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def seeded():
    """Seeds Python's, NumPy's and Keras's generators.

    Not TensorFlow's: that would throw away the kernels of all functions, which the next call makes
    anew, in 10 to 70 ms. No test draws from it without a seed of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.random, "set_seed", lambda seed: None)
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def process_settings_as_before():
    """A program in this process may change TensorFlow's arithmetic and Keras's precision.

    A whole module keeps them, for its tests share runs; the next one begins with the defaults.
    """
    policy = keras.config.dtype_policy()
    float32_by_tensor_cores = tf.config.experimental.tensor_float_32_execution_enabled()
    yield
    disable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(float32_by_tensor_cores)
    keras.config.set_dtype_policy(policy)


@pytest.fixture(autouse=True)
def signals_as_before():
    """A program that was stopped leaves what the system sends ignored, for it is about to end."""
    numbers = [getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def no_exports():
    """Runs of a module end without exports, which take most of the time of a short one."""
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        yield


@pytest.fixture(scope="module")
def keras_exports():
    """Runs of a module end without a SavedModel."""
    with pytest.MonkeyPatch.context() as patch:
        export_keras_alone(patch)
        yield


@pytest.fixture(scope="module")
def thin_resnet():
    """Runs of a module train a network of a third of the layers where they name resnet_small."""
    with pytest.MonkeyPatch.context() as patch:
        thin_resnets(patch)
        yield


@pytest.fixture(scope="session")
def two_replicas():
    """The one strategy of two replicas: the collectives of a second one would collide with its."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def golden():
    """Loads one file of the authors' arrays by its name without suffix."""
    folder = pathlib.Path(__file__).parent / "golden"
    return lambda name: np.load(folder / f"{name}.npz", allow_pickle=False)
