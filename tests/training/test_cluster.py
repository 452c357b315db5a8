"""The processes that train together, from `TF_CONFIG` or from Slurm's variables."""

import json
import os

import pytest

from and_tf.errors import UserError
from and_tf.training.cluster import PORT, read_cluster

TWO = {"worker": ["a:1", "b:2"]}
FIRST = {"type": "worker", "index": 0}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing of whatever started the tests tells of a cluster."""
    for name in [n for n in os.environ if n == "TF_CONFIG" or n.startswith("SLURM")]:
        monkeypatch.delenv(name)


def read(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config if isinstance(config, str) else json.dumps(config))
    return read_cluster()


@pytest.mark.parametrize(
    ("jobs", "job", "index", "number"),
    [
        ({"worker": ["a:1"]}, "worker", 0, 0),
        (TWO, "worker", 1, 1),
        (TWO, "worker", "1", 1),
        (TWO | {"chief": ["c:3"]}, "chief", 0, 0),
        (TWO | {"chief": ["c:3"]}, "worker", 1, 2),
        ({"worker": ["[::1]:1", "10.0.0.7:65535"]}, "worker", 1, 1),
    ],
)
def test_processes_are_numbered_from_the_chief_on(monkeypatch, jobs, job, index, number):
    cluster = read(monkeypatch, {"cluster": jobs, "task": {"type": job, "index": index}})
    everyone = [*jobs.get("chief", []), *jobs["worker"]]
    assert list(cluster.addresses) == everyone and cluster.size == len(everyone)
    assert cluster.number == number and cluster.is_chief is (number == 0)
    assert cluster.name(number) == f"{job} {int(index)} ({everyone[number]})".replace("f 0", "f")


@pytest.mark.parametrize(("index", "place"), [(0, (0, 1)), (1, (0, 2)), (2, (0, 1)), (3, (1, 2))])
def test_processes_of_one_machine_are_numbered_for_its_gpus(monkeypatch, index, place):
    jobs = {"worker": ["a:1", "b:1", "[::1]:1", "b:2"]}
    cluster = read(monkeypatch, {"cluster": jobs, "task": FIRST | {"index": index}})
    assert (cluster.local_index, cluster.local_size) == place


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{", "is not JSON"),
        ([TWO], 'has no "cluster"'),
        ({"task": FIRST}, 'has no "cluster"'),
        ({"cluster": ["a:1"], "task": FIRST}, 'has no "cluster"'),
        ({"cluster": TWO}, 'has no "task"'),
        ({"cluster": TWO, "task": {"type": "worker"}}, 'has no "task"'),
        ({"cluster": TWO, "task": {"type": ["worker"], "index": 0}}, "has the task type"),
        ({"cluster": {"worker": []}, "task": FIRST}, 'no addresses of "worker"'),
        ({"cluster": {"worker": "a:1"}, "task": FIRST}, 'no addresses of "worker"'),
        ({"cluster": {"worker": ["a"]}, "task": FIRST}, "the address 'a' of"),
        ({"cluster": {"worker": [":1"]}, "task": FIRST}, "which is not host:port"),
        ({"cluster": {"worker": ["a:0"]}, "task": FIRST}, "which is not host:port"),
        ({"cluster": {"worker": ["a:65536"]}, "task": FIRST}, "which is not host:port"),
        ({"cluster": {"worker": [7]}, "task": FIRST}, "which is not host:port"),
        ({"cluster": {"worker": ["a:1", "a:1"]}, "task": FIRST}, "the address a:1 twice"),
        ({"cluster": TWO | {"ps": ["c:1"]}, "task": FIRST}, 'the job "ps"'),
        ({"cluster": TWO | {"chief": ["c:1", "d:1"]}, "task": FIRST}, "more than one chief"),
        ({"cluster": TWO, "task": {"type": "chief", "index": 0}}, "the task type 'chief'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "a number from 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": -1}}, "a number from 0 to 1"),
        ({"cluster": TWO, "task": {"type": "worker", "index": None}}, "a number from 0 to 1"),
        ("[" * 5000, "is not JSON"),
        ('{"cluster": {}, "task": ' + "9" * 5000 + "}", "is not JSON"),
        ({"cluster": TWO, "task": FIRST | {"index": "9" * 5000}}, "a number from 0 to 1"),
        ({"cluster": {"worker": ["a:" + "9" * 5000]}, "task": FIRST}, "which is not host:port"),
        ({"cluster": TWO, "task": {"type": "worker", "index": True}}, "a number from 0 to 1"),
    ],
)
def test_a_tf_config_that_cannot_be_used_is_refused_with_what_is_wrong(monkeypatch, config, words):
    with pytest.raises(UserError) as raised:
        read(monkeypatch, config)
    message = str(raised.value)
    assert message.startswith("TF_CONFIG ") and words in message and len(message) < 500
    assert read(monkeypatch, message[message.index('{"cluster"') : -1]).size == 2  # the remedy


def test_without_anything_the_remedy_is_named(monkeypatch):
    with pytest.raises(UserError, match=r"strategy='multiworker' needs .* set TF_CONFIG") as raised:
        read_cluster()
    assert "srun" not in str(raised.value)
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # in a job, but not in a step of it
    with pytest.raises(UserError, match="srun"):
        read_cluster()


def slurm(monkeypatch, nodes, tasks, node, local, number_of_task=0, count=None):
    """The environment of a task, as `srun` sets it."""
    variables = {
        "SLURM_PROCID": number_of_task,
        "SLURM_LOCALID": local,
        "SLURMD_NODENAME": node,
        "SLURM_STEP_NUM_TASKS": count or tasks,
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": tasks,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def test_tasks_of_slurm_find_their_places(monkeypatch):
    slurm(monkeypatch, "gpu[01-02]", "2(x2)", "gpu02", 1, number_of_task=3, count=4)
    cluster = read_cluster(port=5000)
    assert cluster.addresses == ("gpu01:5000", "gpu01:5001", "gpu02:5000", "gpu02:5001")
    assert (cluster.number, cluster.local_index, cluster.local_size) == (3, 1, 2)
    assert not cluster.is_chief


# By names n10 stands before n9, by Slurm's own numbers of the tasks behind it.
@pytest.mark.parametrize(("node", "number_of_task"), [("n9", 0), ("n10", 1)])
def test_each_task_of_slurm_has_the_address_of_its_own_node(monkeypatch, node, number_of_task):
    slurm(monkeypatch, "n[9-10]", "1(x2)", node, 0, number_of_task, count=2)
    cluster = read_cluster()
    assert cluster.addresses[cluster.number] == f"{node}:{PORT}"


def test_tf_config_goes_before_slurm(monkeypatch):
    slurm(monkeypatch, "n[1-2]", "1(x2)", "n1", 0, count=2)
    assert read(monkeypatch, {"cluster": TWO, "task": FIRST}).addresses == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SLURM_LOCALID": ""}, "SLURM_LOCALID is not set"),
        ({"SLURMD_NODENAME": "n3"}, "task 0 of node n3 is not among"),
        ({"SLURM_LOCALID": "9" * 5000}, "task 9999"),
        ({"SLURM_LOCALID": "1"}, "task 1 of node n1 is not among"),
        ({"SLURM_STEP_NUM_TASKS": "3"}, "3 tasks but only 2"),
        ({"SLURM_STEP_NODELIST": "n[1-"}, "Invalid hostlist"),
        ({"SLURM_STEP_TASKS_PER_NODE": "many"}, "Invalid tasks-per-node"),
    ],
)
def test_variables_of_slurm_that_do_not_fit_are_refused(monkeypatch, changes, words):
    slurm(monkeypatch, "n[1-2]", "1(x2)", "n1", 0, count=2)
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="start each process by srun") as raised:
        read_cluster()
    assert words in str(raised.value)


def test_a_port_of_slurm_beyond_the_last_one_is_refused(monkeypatch):
    slurm(monkeypatch, "n1", "2", "n1", 0)
    with pytest.raises(UserError, match="worker_port=65535 leads to port 65536"):
        read_cluster(port=65_535)
