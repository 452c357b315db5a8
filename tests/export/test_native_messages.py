"""Native code's messages during an export: held where it succeeds, shown where it fails."""

import os

import pytest

from and_tf.export.native_messages import native_messages_held

NATIVE = (
    b"E0000 00:00:1764135876.1   123 meta_optimizer.cc:967] remapper failed: INVALID_ARGUMENT\n"
    b"2026-11-26 05:44:36.123456: W tensorflow/core/a.cc:1] oneDNN supports DT_UINT8 only\n"
)


def test_native_lines_of_a_good_export_are_held_and_others_shown(capfd):
    with native_messages_held():
        os.write(2, NATIVE + b"a warning of ours\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "a warning of ours\n"
    os.write(2, NATIVE)
    assert capfd.readouterr().err == NATIVE.decode()


def test_all_lines_of_a_failed_export_are_shown(capfd):
    with pytest.raises(ValueError, match="no"), native_messages_held():
        os.write(2, NATIVE)
        raise ValueError("no")
    assert capfd.readouterr().err == NATIVE.decode()
