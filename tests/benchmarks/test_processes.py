"""Programs as processes, their devices, and what a program that waits for them logs."""

import logging

from benchmarks import processes


def test_a_program_gets_its_device_and_its_log(tmp_path, monkeypatch):
    (tmp_path / "show.py").write_text("import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))")
    monkeypatch.setattr(processes, "PROGRAMS", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    for device in ("3", processes.MACHINE):
        assert processes.start(["show.py"], tmp_path / "log", device).wait() == 0
    assert (tmp_path / "log").read_text().split() == ["3", "5"]


def test_a_machine_without_a_gpu_is_one_device():
    assert processes.devices() == [processes.MACHINE]


def test_a_warning_is_shown_once(caplog):
    logger = logging.getLogger("benchmarks.of_this_test")
    logger.addFilter(processes.OnceOnly())
    for method in ("and", "instance", "and", "and"):
        logger.warning("%s has no use for it", method)
    assert caplog.messages == ["and has no use for it", "instance has no use for it"]
