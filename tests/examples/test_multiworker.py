"""The manifests of Slurm and Kubernetes: what they start, and which processes find one another."""

import os
import pathlib
import re
import subprocess

import pytest
import yaml

from and_tf.cli.train import read_settings
from and_tf.training.cluster import PORT, cluster_of_tf_config

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture
def printing(tmp_path):
    """The lines that a script prints where `program` prints TF_CONFIG and its own arguments."""

    def run(script, program, **variables):
        fake = tmp_path / program
        fake.write_text('#!/bin/bash\necho "$TF_CONFIG"\nprintf "%s\\n" "$@"\n')
        fake.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, **variables}
        command = ["bash", "-c", script]  # the status of one that has not trained may be any
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True).stdout

    return lambda *args, **variables: run(*args, **variables).splitlines()


def test_each_pod_names_all_and_itself(printing):
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    workers = {each["name"]: each["value"] for each in container["env"]}["WORKERS"]
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == int(workers)
    assert job["spec"]["completionMode"] == "Indexed" and pod["restartPolicy"] == "OnFailure"
    # The others end before the first has exported the encoder: their status says nothing.
    assert job["spec"]["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    # The name of a pod is that of its job and its index, below the service that it names.
    host = f"{job['metadata']['name']}-{{}}.{pod['subdomain']}:{PORT}"
    assert pod["subdomain"] == service["metadata"]["name"]
    (script,) = container["args"]
    for index in (0, 3):
        config, program, *flags = printing(
            script, "python", WORKERS=workers, JOB_COMPLETION_INDEX=str(index)
        )
        cluster = cluster_of_tf_config(config)
        assert cluster.addresses == tuple(host.format(n) for n in range(int(workers)))
        assert cluster.number == index and program == "train.py"
        settings = read_settings(flags)
    assert settings.devices.strategy == "multiworker"
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert settings.run.folder.startswith(tuple(mounted))
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {each["name"] for each in container["volumeMounts"]} == {
        each["name"] for each in pod["volumes"]
    }


def test_slurm_starts_one_process_for_each_gpu(printing):
    script = (EXAMPLES / "slurm.sbatch").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    assert options["ntasks-per-node"] == options["gpus-per-node"]
    assert options["signal"].startswith("TERM@")  # to the processes, which save and stop
    _, *words = printing(script, "srun")
    program = words.index("train.py")
    assert words[program - 1] == "python"
    settings = read_settings(words[program + 1 :])
    processes = int(options["nodes"]) * int(options["ntasks-per-node"])
    assert settings.devices.strategy == "multiworker"
    assert settings.optimizer.batch_size % processes == 0


@pytest.mark.system
def test_two_processes_of_this_machine_train_as_one(tmp_path):
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    command = ["bash", str(EXAMPLES / "multiworker_local.sh"), str(tmp_path)]
    found = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.splitlines()[-1].startswith("equal to one process: ")
