"""Which processes train together, read from `TF_CONFIG` or from Slurm's variables of each task."""

from __future__ import annotations

import dataclasses
import os
import re
import reprlib
from collections.abc import Mapping
from typing import Any

from and_tf.errors import Argument, UserError
from and_tf.runs import schema

JOBS = ("chief", "worker")  # jobs that train, in the order in which processes are numbered
PORT = 24_100  # of the first task that Slurm starts on a node; below the ephemeral ports
HIGHEST_PORT = 65_535
NUMBER = re.compile("[0-9]{1,9}")  # as text; Python refuses numbers of thousands of digits
BY_SRUN = "start each process by srun, or set TF_CONFIG for each"
EXAMPLE = (
    '{"cluster": {"worker": ["host1:24100", "host2:24100"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
SLURM_VARIABLES = (
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURMD_NODENAME",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_NODELIST",
    "SLURM_STEP_TASKS_PER_NODE",
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together, and which of them this one is.

    Args:
        jobs: addresses, `host:port`, of the processes of each job: `worker`, and maybe `chief`.
        job: of this process.
        index: of this process within its job.
        local_index, local_size: number of this process among those on its machine, which share its
            GPUs, and how many there are; 0 and 1 if it is the only one.
    """

    jobs: Mapping[str, tuple[str, ...]]
    job: str
    index: int
    local_index: int = 0
    local_size: int = 1

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all processes by number: the chief first, as TensorFlow numbers them."""
        return tuple(address for job in JOBS for address in self.jobs.get(job, ()))

    @property
    def number(self) -> int:
        """The number of this process, from 0."""
        return self.index + (len(self.jobs.get("chief", ())) if self.job == "worker" else 0)

    @property
    def size(self) -> int:
        """How many processes there are."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes the run's folder."""
        return self.number == 0

    def short_name(self, number: int) -> str:
        """The name of a process in messages, such as "worker 1"."""
        chiefs = len(self.jobs.get("chief", ()))
        return "chief" if number < chiefs else f"worker {number - chiefs}"

    def name(self, number: int) -> str:
        """The name of a process with its address, such as "worker 1 (host2:24100)"."""
        return f"{self.short_name(number)} ({self.addresses[number]})"


def read_cluster(port: int = PORT) -> Cluster:
    """Reads the cluster from the environment variables of this process.

    Args:
        port: of the first task on a node, if Slurm starts them.

    Raises:
        UserError: if no variable describes the cluster, or one is invalid; names the variable.
    """
    if text := os.environ.get("TF_CONFIG", "").strip():
        return cluster_of_tf_config(text)
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return cluster_of_slurm(port)
    is_in_job = "SLURM_JOB_ID" in os.environ
    of_slurm = " Within a job of Slurm, start each process by srun." if is_in_job else ""
    raise UserError(
        Argument("strategy", "multiworker"), " needs to know the processes that train together: "
        f"set TF_CONFIG for each, such as {EXAMPLE}.{of_slurm}",
    )  # fmt: skip


def cluster_of_tf_config(text: str) -> Cluster:
    """The cluster described by the text of `TF_CONFIG`.

    Raises:
        UserError: if the text is invalid.
    """
    try:
        config = schema.parse(text)
    except ValueError as error:
        raise _unusable(f"is not JSON ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("cluster"), dict):
        raise _unusable('has no "cluster"')
    task = config.get("task")
    if not isinstance(task, dict) or not {"type", "index"} <= task.keys():
        raise _unusable('has no "task" with "type" and "index"')
    jobs = {str(job): _addresses(job, listed) for job, listed in config["cluster"].items()}
    _check_jobs(jobs)
    job, index = task["type"], _index(task["index"])
    if not isinstance(job, str) or job not in jobs:
        shown = reprlib.repr(job)  # short, however long or deep it is
        raise _unusable(f"has the task type {shown}, and its cluster has {' and '.join(jobs)}")
    if index is None or not 0 <= index < len(jobs[job]):
        raise _unusable(
            f"has the task index {reprlib.repr(task['index'])}: it must be a number from 0 to "
            f'{len(jobs[job]) - 1}, for the cluster has {len(jobs[job])} "{job}"'
        )
    return _with_neighbours(Cluster(jobs, job, index))


def _with_neighbours(cluster: Cluster) -> Cluster:
    """The cluster with this process's number among those whose addresses have the same host."""
    hosts = [address.rpartition(":")[0] for address in cluster.addresses]
    here = [number for number, host in enumerate(hosts) if host == hosts[cluster.number]]
    return dataclasses.replace(
        cluster, local_index=here.index(cluster.number), local_size=len(here)
    )


def _unusable(reason: str) -> UserError:
    return UserError(f"TF_CONFIG {reason}: correct it, as in {EXAMPLE}.")


def _addresses(job: str, listed: Any) -> tuple[str, ...]:
    if not isinstance(listed, list) or not listed:
        raise _unusable(f'names no addresses of "{job}"')
    for address in listed:
        if not _is_address(address):
            shown = reprlib.repr(address)
            raise _unusable(f'has the address {shown} of "{job}", which is not host:port')
    return tuple(listed)


def _is_address(address: Any) -> bool:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host) and 1 <= (_index(port) or 0) <= HIGHEST_PORT


def _check_jobs(jobs: Mapping[str, tuple[str, ...]]) -> None:
    if unknown := sorted(jobs.keys() - set(JOBS)):
        raise _unusable(f'has the job "{unknown[0]}", and only {" and ".join(JOBS)} train')
    if len(jobs.get("chief", ())) > 1:
        raise _unusable("has more than one chief")
    addresses = [address for listed in jobs.values() for address in listed]
    if doubled := [a for number, a in enumerate(addresses) if a in addresses[:number]]:
        raise _unusable(f"has the address {doubled[0]} twice")


def _index(value: Any) -> int | None:
    """An integer, possibly written as text, as some tools that set `TF_CONFIG` do; else None."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def cluster_of_slurm(port: int = PORT) -> Cluster:
    """The cluster of the tasks of a Slurm job step, from TensorFlow's `SlurmClusterResolver`.

    The resolver sorts nodes by name and takes Slurm's number of a task for its position among them.
    But Slurm numbers tasks by its own order of nodes, in which n9 comes before n10, and by the
    requested distribution. So this process's position is looked up by its node and its number there
    instead.

    Args:
        port: of the first task on each node; the others take the following ports.

    Raises:
        UserError: if variables are missing or inconsistent.
    """
    if missing := [name for name in SLURM_VARIABLES if not os.environ.get(name)]:
        raise UserError(f"Slurm's variable {missing[0]} is not set: {BY_SRUN}.")
    addresses = _slurm_addresses(port)
    node, local = os.environ["SLURMD_NODENAME"], os.environ["SLURM_LOCALID"]
    own = f"{node}:{port + int(local)}" if NUMBER.fullmatch(local) else ""
    if own not in addresses:
        raise UserError(
            f"Slurm's variables do not belong together, task {local[:20]} of node {node} is not "
            f"among {', '.join(addresses)}: {BY_SRUN}."
        )
    on_node = sum(address.rpartition(":")[0] == node for address in addresses)
    return Cluster({"worker": addresses}, "worker", addresses.index(own), int(local), on_node)


def _slurm_addresses(port: int) -> tuple[str, ...]:
    import tensorflow as tf

    try:
        # It also assigns GPUs, asks nvidia-smi for their number, and fails without it. Only its
        # addresses are needed here, so it is told of more GPUs than any node could need.
        spec = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=HIGHEST_PORT, gpus_per_task=1, auto_set_gpu=False
        ).cluster_spec()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"Slurm's variables cannot be used ({error}): {BY_SRUN}.") from error
    addresses = tuple(spec.as_dict()["worker"])
    highest = max(int(address.rpartition(":")[2]) for address in addresses)
    if highest > HIGHEST_PORT:
        raise UserError(Argument("worker_port", port), f" leads to port {highest}: lower it.")
    return addresses
