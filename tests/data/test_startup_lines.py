"""TensorFlow's greetings are left out, all else on stderr stays, and stderr is as it was after."""

import os
import subprocess
import sys

import keras
import pytest

from and_tf.data.startup_lines import startup_lines_dropped

GREETINGS = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795680089.655094   28015 port.cc:153] oneDNN custom operations are on.
I0000 00:00:1795680089.655499   28015 cudart_stub.cc:31] Could not find cuda drivers.
E0000 00:00:1795680108.971204   28015 cuda_platform.cc:52] failed call to cuInit: INTERNAL.
"""
# Which are raised as well, where TensorFlow does not connect processes.
OF_CONNECTING = """\
E0000 00:00:1795739287.397914   14933 base_collective_executor.cc:252] BaseCollectiveExecutor::StartAbort DEADLINE_EXCEEDED
RPC: /tensorflow.CoordinationService/RegisterTask
E0000 00:00:1795739287.397979   14933 context_distributed_manager.cc:1124] Deadline Exceeded
Additional GRPC error information from remote target /job:worker/replica:0/task:0 while calling:
:UNKNOWN:Error received from peer  {grpc_status:4, grpc_message:"Deadline Exceeded"}
"""  # noqa: E501
OTHERS = b"a warning \xff of another library\nE0000 00:00:1.2 34 cuda_dnn.cc:5] no cuDNN\n"


def test_greetings_are_left_out_and_nothing_else(capfd):
    os.write(2, b"before\n")
    with startup_lines_dropped():
        os.write(2, (GREETINGS + OF_CONNECTING).encode() + OTHERS)
    os.write(2, b"after\n")
    expected = b"before\n" + OTHERS + b"after\n"
    assert capfd.readouterr().err == expected.decode(errors="replace")


def test_stderr_is_as_it_was_even_after_an_error():
    before = os.fstat(2)
    with pytest.raises(RuntimeError), startup_lines_dropped():
        assert os.fstat(2).st_ino != before.st_ino
        raise RuntimeError
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)


@pytest.mark.parametrize("level", ["0", "1"])
def test_who_asks_for_the_messages_gets_them(capfd, monkeypatch, level):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with startup_lines_dropped():
        os.write(2, GREETINGS.encode())
    assert capfd.readouterr().err == GREETINGS


def test_without_grep_all_is_shown(capfd, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with startup_lines_dropped():
        os.write(2, GREETINGS.encode())
    assert capfd.readouterr().err == GREETINGS


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )


def test_an_abort_loses_no_word():
    ended = run(
        "import os\nfrom and_tf.data.startup_lines import startup_lines_dropped as dropped\n"
        "with dropped():\n    os.write(2, b'compiled to use AVX\\n')\n    os.abort()\n"
    )
    assert ended.returncode < 0 and "compiled to use AVX" in ended.stderr


@pytest.mark.system
def test_a_users_first_embedding_in_python_says_nothing_of_tensorflow(tmp_path):
    images = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(4, 3)(images)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(maps)).save(tmp_path / "e.keras")
    ended = run(
        "import numpy as np, and_tf, os, sys\n"
        "before = os.fstat(2).st_ino\n"
        f"encoder = and_tf.load_encoder({str(tmp_path / 'e.keras')!r})\n"
        "and_tf.embed(np.zeros((2, 16, 16, 3), np.uint8), encoder)\n"
        "assert os.fstat(2).st_ino == before and 'tensorflow' in sys.modules\n"
        "os.write(2, b'the end\\n')\n"
    )
    lines = [line for line in ended.stderr.splitlines() if "embedding images" not in line]
    assert ended.returncode == 0 and lines == ["the end"], ended.stderr
