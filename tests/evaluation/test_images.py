"""The images of an evaluation."""

import pytest

from and_tf.data.settings import DataSettings
from and_tf.evaluation import images


def test_the_size_of_images_that_are_gone_is_unknown(tmp_path):
    assert images._size_of_run(DataSettings(f"npz:{tmp_path}/gone.npz"), "") is None


def test_a_bug_is_not_taken_for_images_that_are_gone(monkeypatch):
    def broken(source):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(images, "array_size", broken)
    with pytest.raises(ValueError, match="broadcast"):
        images._size_of_run(DataSettings("digits"), "")
