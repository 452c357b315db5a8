"""Whether a run compiles its step with XLA, decided from a table of measurements."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class XlaChoice:
    """Whether XLA compiles the step, and why."""

    is_on: bool
    reason: str


# How many times as many images a second `fit` does with oneDNN as with XLA, on a CPU. From
# `python -m benchmarks.step`: batch 128, 32 x 32, a bank of 50,000, 2 cores of an AMD EPYC with
# AVX-512, TensorFlow 2.21. XLA's first step took 7.1, 5.4 and 9.3 s, the other one 1.2 to 3.4 s.
ONEDNN_OVER_XLA = {"resnet_small": 1.76, "alexnet": 1.47, "resnet18": 1.82}


def choose_xla(encoder: str, has_gpu: bool, replicas: int) -> XlaChoice:
    """What `--jit_compile=auto` means here.

    Args:
        encoder: one of `encoders.ENCODERS`.
        has_gpu: whether the run trains on a GPU.
        replicas: devices that share a batch.
    """
    if replicas > 1:
        return XlaChoice(False, f"it compiles for one device only, and there are {replicas}")
    if has_gpu:
        return XlaChoice(True, "on one GPU it is assumed to be faster; no GPU was measured")
    if encoder in ONEDNN_OVER_XLA:
        times = f"{ONEDNN_OVER_XLA[encoder]:.1f} times as fast for {encoder}"
        return XlaChoice(False, f"on a CPU oneDNN is {times}; --jit_compile=on compiles")
    slowest, fastest = min(ONEDNN_OVER_XLA.values()), max(ONEDNN_OVER_XLA.values())
    return XlaChoice(
        False,
        f"on a CPU oneDNN is {slowest:.1f} to {fastest:.1f} times as fast for the encoders "
        f"measured, {encoder} not among them; --jit_compile=on compiles",
    )
