"""What the machine's GPUs can do, asked before TensorFlow puts anything on them."""

import tensorflow as tf

BFLOAT16_SINCE = (8, 0)  # compute capability of Ampere


def grow_memory() -> None:
    """Lets TensorFlow take GPU memory as it needs it, not all at once; before the first tensor."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def main_device() -> str:
    """The device on which a run without a strategy trains."""
    return "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"


def precision_policy(precision: str) -> str:
    """The Keras policy that `--precision` means on this machine; says so where it chooses.

    `mixed` is bfloat16 on GPUs that multiply it, and on a CPU; float16, which needs loss scaling,
    on older GPUs.
    """
    if precision != "mixed":
        return precision
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", BFLOAT16_SINCE)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    oldest = min(capabilities, default=None)
    policy = "mixed_float16" if oldest and oldest < BFLOAT16_SINCE else "mixed_bfloat16"
    reason = "compute capability {}.{}".format(*oldest) if oldest else "no GPU"
    print(f"--precision=mixed is {policy} here ({reason}).")
    return policy
