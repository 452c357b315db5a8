"""The devices of this machine, determined before TensorFlow places anything on a GPU."""

import logging
import platform
import shutil
import timeit
from pathlib import Path

import tensorflow as tf

from and_tf.data.workers import num_cores
from and_tf.errors import Argument

logger = logging.getLogger(__name__)

BFLOAT16_SINCE = (8, 0)  # compute capability of Ampere
SLOW = 1.5  # times as long; other work on the machine makes less of a difference
CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
NVIDIA_FILES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"))


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def grow_memory() -> None:
    """Lets TensorFlow take GPU memory as needed, not all at once; call before the first tensor."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def available_memory() -> int | None:
    """Bytes of memory that are still available according to Linux; None on other systems."""
    entry = _first_entry(MEMORY_INFO, "MemAvailable").removesuffix("kB").strip()
    return int(entry) * 1024 if entry.isdigit() else None


def main_device() -> str:
    """The device on which a run without a strategy trains."""
    return "GPU:0" if has_gpu() else "CPU:0"


def steps_per_execution(wanted: int, replicas: int) -> int:
    """Steps that TensorFlow runs in one call; 0 selects the number that suits the device."""
    return wanted or (50 if has_gpu() and replicas == 1 else 1)


def precision_policy(precision: str) -> str:
    """The Keras policy for `precision` on this machine.

    `mixed` means bfloat16 on a CPU and on GPUs that support it, and float16, which needs loss
    scaling, on older GPUs.
    """
    if precision != "mixed":
        return precision
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", BFLOAT16_SINCE)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    oldest = min(capabilities, default=BFLOAT16_SINCE)
    return "mixed_float16" if oldest < BFLOAT16_SINCE else "mixed_bfloat16"


def log_devices(precision: str, is_xla_on: bool) -> None:
    """Logs devices, TensorFlow, precision and XLA in one line; warns of an unused GPU.

    Also warns if the CPU only emulates half precision.
    """
    xla = "on" if is_xla_on else "off"
    logger.info("%s; TensorFlow %s, %s, XLA %s.", device_name(), tf.__version__, precision, xla)
    if has_gpu():
        return
    if has_nvidia_device():
        logger.warning(
            "this machine has an NVIDIA device, but TensorFlow sees no GPU: "
            'pip install "tensorflow[and-cuda]"'
        )
    half = precision.removeprefix("mixed_")
    if half != "float32" and (times := slowdown(half)) > SLOW:
        logger.warning(
            "in %s a convolution takes %.1f times as long on this CPU as in float32: it is "
            "emulated. Train with %s, in another %s.",
            half, times, Argument("precision", "float32"), Argument("workdir"),
        )  # fmt: skip


def slowdown(half: str) -> float:
    """Time of a convolution and its gradients on the CPU, relative to float32.

    This is measured, in a fraction of a second: processors without half-precision instructions
    emulate them, and TensorFlow may do so on others, which the processor's flags do not show.

    Args:
        half: `bfloat16` or `float16`.
    """

    @tf.function
    def gradients(images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            maps = tf.nn.conv2d(images, kernel, 1, "SAME")
        return tape.gradient(maps, [images, kernel])

    def seconds(dtype: tf.DType) -> float:
        given = tf.ones((4, 32, 32, 32), dtype), tf.ones((3, 3, 32, 32), dtype)
        gradients(*given)  # compiles
        return min(timeit.repeat(lambda: gradients(*given)[0].numpy(), number=1, repeat=3))

    with tf.device("CPU:0"):
        return seconds(tf.as_dtype(half)) / seconds(tf.float32)


def device_name() -> str:
    """The names of the GPUs, or the model of the CPU and the number of usable cores."""
    names = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    if names:
        return "GPU " + ", ".join(names)
    cores = num_cores()
    return f"CPU {_cpu_model()}, {cores} {'core' if cores == 1 else 'cores'}"


def has_nvidia_device() -> bool:
    """Whether the machine has an NVIDIA GPU, even if TensorFlow does not see it."""
    return any(path.exists() for path in NVIDIA_FILES) or shutil.which("nvidia-smi") is not None


def _cpu_model() -> str:
    return _cpu_entry("model name") or platform.processor() or platform.machine()


def _cpu_entry(name: str) -> str:
    """An entry of the first core in Linux's CPU information; empty on other systems."""
    return _first_entry(CPU_INFO, name)


def _first_entry(path: Path, name: str) -> str:
    """The first value of `name` in a file of lines `name: value`; empty if there is none."""
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
