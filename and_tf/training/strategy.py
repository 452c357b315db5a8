"""Distribution strategies for devices, or for processes on one or more machines."""

import contextlib

import tensorflow as tf

from and_tf.data.partition import leaves_some_empty
from and_tf.errors import Argument, UserError
from and_tf.training.cluster import JOBS, Cluster

HEARTBEAT_TIMEOUT_MS = 24 * 3600 * 1000


def choose_strategy(name: str, cluster: Cluster | None = None) -> tf.distribute.Strategy:
    """The strategy in whose scope model and optimizer are built.

    Args:
        name: `none`; `mirrored` for all GPUs of this machine, or else its logical CPUs; or
            `multiworker` for the processes of a cluster, before TensorFlow has run any operation.
        cluster: for `multiworker`; all its processes must have been started.
    """
    if name == "multiworker":
        assert cluster is not None
        return strategy_of_processes(cluster)
    if name == "none":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()  # XLA cannot compile what a strategy does
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def strategy_of_processes(cluster: Cluster) -> tf.distribute.Strategy:
    """The strategy of a cluster, with one device per process.

    A process that sees several GPUs takes the one with its own number on the machine.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        gpus = [gpus[cluster.local_index % len(gpus)]]
        tf.config.set_visible_devices(gpus, "GPU")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(listed) for job, listed in cluster.jobs.items()}),
        task_type=cluster.job,
        task_id=cluster.index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(gpus)},
    )
    _leave_faults_to_the_channel(cluster)
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def _leave_faults_to_the_channel(cluster: Cluster) -> None:
    """Keeps TensorFlow from reporting finished processes as lost while the chief still exports.

    Our `Channel` detects lost processes sooner and explains why. There is no public function for
    this.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
        from tensorflow.python.eager import context

        context.context().configure_coordination_service(
            service_type="standalone",
            service_leader=f"/job:{next(j for j in JOBS if j in cluster.jobs)}/replica:0/task:0",
            heartbeat_timeout_in_ms=HEARTBEAT_TIMEOUT_MS,
            coordinated_jobs=[
                coordination_config_pb2.CoordinatedJob(name=job, num_tasks=len(cluster.jobs[job]))
                for job in JOBS
                if job in cluster.jobs
            ],
        )


def abort_collectives(reason: str) -> None:
    """Makes collectives of this process that wait for another one raise an error.

    There is no public function for this.
    """
    with contextlib.suppress(ImportError, AttributeError, RuntimeError, tf.errors.OpError):
        from tensorflow.python.eager import context

        context.context().abort_collective_ops(tf.errors.UNAVAILABLE, reason)


def check_batch(batch_size: int, replicas: int, is_even: bool = False) -> None:
    """Refuses a batch size of which every batch leaves a device without images.

    Args:
        is_even: as for `check_last_batch`.

    Raises:
        UserError: if so.
    """
    if _leaves_some_empty(batch_size, replicas, is_even):
        raise UserError(
            Argument("batch_size", batch_size), f" leaves some of {replicas} devices without "
            f"images: choose a multiple of {replicas}.",
        )  # fmt: skip


def check_last_batch(
    num_samples: int, batch_size: int, replicas: int, is_even: bool = False
) -> None:
    """Checks that the last batch has enough images for every device to get at least one.

    Args:
        is_even: whether all devices get an equal number of images, give or take one; otherwise
            equally many until none are left, as TensorFlow splits a batch.

    Raises:
        UserError: if some device would get none.
    """
    last_batch = num_samples % batch_size
    if _leaves_some_empty(last_batch, replicas, is_even):
        raise UserError(
            Argument("batch_size", batch_size), f" leaves {last_batch} image(s) in the last batch "
            f"of {num_samples}, for {replicas} devices: choose another.",
        )  # fmt: skip


def _leaves_some_empty(count: int, replicas: int, is_even: bool) -> bool:
    return 0 < count < replicas if is_even else leaves_some_empty(count, replicas)
