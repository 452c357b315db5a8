"""What a run costs on many GPUs, calculated from published speeds rather than measured.

Each number of the hardware has its source or is marked as an assumption. The costs of a step, a
discovery and a checkpoint are written as formulas, so that other numbers can be put in.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple


@dataclasses.dataclass(frozen=True)
class Hardware:
    """A host with GPUs, and the network between hosts; by default an NVIDIA DGX A100, 8 x 40 GB.

    Sources: NVIDIA A100 Tensor Core GPU data sheet (2020): 40 GB at 1,555 GB/s, 19.5 TFLOPS in
    float32, NVLink 600 GB/s in both directions together. DGX A100 data sheet (2020): 8 GPUs, 1 TB
    of memory, 8 ports of 200 Gb/s. NVIDIA DeepLearningExamples, ResNet-50 v1.5 for TensorFlow,
    batch 256, mixed precision with XLA: 2,375 images/s in training, 3,676 in inference on one A100.
    """

    memory_bytes: float = 40e9
    memory_bandwidth: float = 1.555e12  # bytes per second
    float32_flops: float = 19.5e12  # bank and loss are in float32 even if the encoder is not
    nvlink: float = 300e9  # bytes per second in one direction
    network: float = 25e9  # bytes per second per GPU, in one direction
    gpus_per_host: int = 8
    host_bytes: float = 1e12
    train_rate: float = 2375.0  # images per second per GPU
    embed_rate: float = 3676.0
    disk: float = 2e9  # bytes per second of one process to a shared file system: an assumption
    efficiency: float = 0.7  # fraction of the peaks that is reached: an assumption


@dataclasses.dataclass(frozen=True)
class Run:
    """What is trained: by default AND with ResNet-50.

    Attributes:
        batch: images per step on each GPU.
        dim: D.
        neighbours: k.
        parameters: number of parameters of the encoder.
        other_bytes: memory of a GPU for encoder, activations and optimizer: an assumption.
    """

    batch: int = 256
    dim: int = 128
    neighbours: int = 1
    parameters: float = 25.6e6
    other_bytes: float = 24e9


class Costs(NamedTuple):
    """Costs of a run with a number of images and GPUs, in seconds and bytes.

    Attributes:
        encoder, softmax, gradients, exchange: per step: forward and backward pass of the encoder;
            comparison of the bank with the global batch; all-reduce of the gradients, none of it
            overlapping with the backward pass; what a bank in parts exchanges.
        epoch: all steps of an epoch.
        discovery: exact search, in which each GPU compares its rows with all.
        index: search by an inverted-list index on the CPUs of the chief's host; see
            `index_seconds`.
        gpu_bytes: bank and neighbour tables on a GPU, with the bank in parts.
        whole_gpu_bytes: the same with a whole bank on each GPU.
        host_bytes: memory of the first process's host: the whole bank for a checkpoint, or the
            parts of its processes for discovery, whichever is more.
        checkpoint: writing bank and tables by one process.
    """

    encoder: float
    softmax: float
    gradients: float
    exchange: float
    epoch: float
    discovery: float
    index: float
    gpu_bytes: float
    whole_gpu_bytes: float
    host_bytes: float
    checkpoint: float

    @property
    def step(self) -> float:
        return self.encoder + self.softmax + self.gradients + self.exchange


# Memory traffic of a float32 logit with kernels that are not fused: the product writes it; maximum,
# sum and second product read it; subtraction and exponential read and write it.
LOGIT_BYTES = 4 * (1 + 3 + 4)


def costs(
    num_images: float, gpus: int, run: Run | None = None, on: Hardware | None = None
) -> Costs:
    """The costs of a run with a bank in parts."""
    run, on = run or Run(), on or Hardware()
    everybody = run.batch * gpus  # images of a step
    encoder = run.batch / on.train_rate
    softmax = softmax_seconds(everybody, num_images / gpus, run.dim, on)
    gradients = ring_seconds(4 * run.parameters, gpus, on)
    exchange = ring_seconds(exchanged_bytes(everybody, run.dim, gpus), gpus, on)
    step = encoder + softmax + gradients + exchange
    tables = num_images * (8 * run.neighbours + 5)  # neighbours, whether an anchor, entropy
    bank = 4.0 * num_images * run.dim
    return Costs(
        encoder=encoder,
        softmax=softmax,
        gradients=gradients,
        exchange=exchange,
        epoch=step * math.ceil(num_images / everybody),
        discovery=ring_seconds(discovery_bytes(num_images, run, gpus), gpus, on)
        + softmax_seconds(num_images / gpus, num_images, run.dim, on, products=1),
        index=index_seconds(num_images, run.dim),
        gpu_bytes=bank / gpus + tables,
        whole_gpu_bytes=bank + tables,
        host_bytes=bank,  # the parts for discovery take no more
        checkpoint=(bank + tables) / on.disk,
    )


def discovery_bytes(num_images: float, run: Run, gpus: int) -> float:
    """Bytes that one process passes to the collectives of an exact discovery from a bank in parts.

    For each row: the row twice, for the process that keeps it and for the comparison; the nearest
    rows that each process has found, as a table of all processes; and two sums of its softmax.
    """
    nearest = 12 * gpus * (run.neighbours + 1)
    return num_images * (2 * 4.0 * run.dim + nearest + 2 * 8)


def softmax_seconds(
    queries: float, rows: float, dim: int, on: Hardware, products: int = 2
) -> float:
    """Seconds to compare queries with rows on one GPU: the slower of arithmetic and memory.

    Args:
        queries, rows: their numbers.
        dim: D.
        on: the GPU.
        products: number of matrix products: logits, and the mean row; discovery needs only the
            first.
    """
    arithmetic = 2.0 * products * dim * queries * rows / on.float32_flops
    memory = (LOGIT_BYTES * queries * rows + 4.0 * products * dim * rows) / on.memory_bandwidth
    return max(arithmetic, memory) / on.efficiency


def exchanged_bytes(batch: int, dim: int, gpus: int) -> int:
    """Bytes that one replica passes to the collectives of a step with a bank in parts.

    Args:
        batch: images per step on all GPUs together.
        dim: D.
        gpus: number of GPUs.
    """
    gathered = 2 * batch * (8 + 4 * dim)  # indices and embeddings, for the loss and for the update
    maxima = 8 * gpus * batch  # strategies cannot reduce by maximum: a table of all is summed
    sums = 8 * batch * (1 + dim)  # totals and weighted rows, of all rows and of the positives
    return gathered + maxima + sums


def ring_seconds(num_bytes: float, gpus: int, on: Hardware) -> float:
    """Seconds of a ring all-reduce: over NVLink within a host, else at the network's speed."""
    if gpus == 1:
        return 0.0
    speed = on.nvlink if gpus <= on.gpus_per_host else on.network
    return 2.0 * (gpus - 1) / gpus * num_bytes / (speed * on.efficiency)


# Lists per square root of N as in `search/faiss_index.py`. Assumptions: the number of lists that
# are searched (a run logs its own); the cores of a host; and a tenth of a core's peak of 160 GFLOPS
# in float32 (AVX-512 at 2.5 GHz), because a scan of lists waits for memory.
LISTS_PER_ROOT, LISTS_SEARCHED, CORES, CORE_FLOPS = 4, 32, 128, 16e9


def index_seconds(num_images: float, dim: int) -> float:
    """Seconds of a discovery by an index that one host builds and searches for all rows.

    Each row is compared with the centres of all lists, once to build the index and once to search.
    """
    lists = LISTS_PER_ROOT * math.sqrt(num_images)
    compared = 2 * lists + LISTS_SEARCHED * num_images / lists  # with each row
    return 2.0 * dim * num_images * compared / (CORES * CORE_FLOPS)


def breaks(found: Costs, run: Run | None = None, on: Hardware | None = None) -> list[str]:
    """What does not fit or takes too long; reasons that make a run impossible come first."""
    run, on = run or Run(), on or Hardware()
    free = on.memory_bytes - run.other_bytes
    reasons = {
        "bank and tables exceed a GPU": found.gpu_bytes > free,
        "bank of a checkpoint exceeds a host": found.host_bytes > 0.8 * on.host_bytes,
        "softmax takes longer than the encoder": found.softmax > found.encoder,
        "exact discovery takes longer than an epoch": found.discovery > found.epoch,
        "whole bank on each GPU does not fit": found.whole_gpu_bytes > free,
    }
    return [reason for reason, holds in reasons.items() if holds]
