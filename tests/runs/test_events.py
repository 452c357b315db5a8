"""TensorBoard's events are those of metrics.jsonl, each once."""

import errno

import pytest
import tensorflow as tf

from and_tf.runs.events import EventLog
from and_tf.runs.workdir import Workdir
from benchmarks import soak_compare


def test_a_start_writes_the_events_anew(tmp_path):
    run = Workdir(tmp_path)
    run.append_metrics([{"step": 1, "epoch": 1, "round": 0, "loss": 2.0}])
    EventLog(run).close()
    log = EventLog(run)
    log.write({"step": 2, "epoch": 2, "round": 0, "loss": 1.0})
    log.close()
    assert soak_compare.events(tmp_path) == [(1, "loss", 2.0), (2, "loss", 1.0)]


def test_a_full_disk_is_an_error_of_the_system_and_no_lack_of_memory(tmp_path, monkeypatch):
    def refuse(*others, **more):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    log = EventLog(Workdir(tmp_path))
    monkeypatch.setattr(tf.summary, "scalar", refuse)
    with pytest.raises(OSError) as error:
        log.write({"step": 1, "loss": 1.0})
    assert error.value.errno == errno.ENOSPC
