"""What is read from files of runs: names, types and ranges, refused with field and value."""

import json
import os

import pytest

from and_tf.errors import BrokenFile
from and_tf.runs import schema
from and_tf.runs.schema import CHECKPOINT, RECORD, RUN, evaluation, read_object

GOOD = {"images": 64, "fingerprint": "f", "mean": [1.0] * 3, "std": [2] * 3, "labels": None}
RESULTS = evaluation(["top1", "k"])


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (RUN, GOOD),
        (RUN, {"mean": [0.5], "std": [0.2], "of_a_later_version": [{}]}),
        (CHECKPOINT, {}),
        (CHECKPOINT, {"step": 0, "best": -1.0, "curriculum": {}, "kept_by_a_method": [1]}),
        (CHECKPOINT, {"clusters": {"kmeans": "faiss 1", "reassigned": 3.0}}),
        (RECORD, {"step": 3, "loss": float("nan"), "anchors": 7}),
        (RESULTS, {"protocol": "kNN", "rows": [{"layer": "fc", "top1": 3, "converged": True}]}),
    ],
)
def test_what_was_written_is_taken(of, found):
    assert of.fault(json.loads(json.dumps(found))) == ""


@pytest.mark.parametrize(
    ("of", "found", "words"),
    [
        (RUN, [], "it holds [], not an object"),
        (RUN, {"std": [1.0]}, "there is no 'mean'"),
        (RUN, GOOD | {"images": True}, "images is true, not a whole number from 1"),
        (RUN, GOOD | {"images": 0}, "images is 0"),
        (RUN, GOOD | {"images": 1.0}, "images is 1.0"),
        (
            RUN,
            GOOD | {"std": [1, 0, 1]},
            "std is [1, 0, 1], not a list whose items are each a number",
        ),
        (RUN, GOOD | {"mean": [float("nan")] * 3}, "mean is [NaN, NaN, NaN]"),
        (RUN, GOOD | {"mean": []}, "mean is []"),
        (RUN, GOOD | {"loaded_layers": [3]}, "loaded_layers is [3], not a list"),
        (RUN, GOOD | {"init_knn_top1": "high"}, 'init_knn_top1 is "high", not a number from'),
        (CHECKPOINT, {"step": -1}, "step is -1, not a whole number from 0 to 2147483647"),
        (CHECKPOINT, {"step": 10**12}, "step is 1000000000000"),
        (CHECKPOINT, {"best": None}, "best is null, not a number from -1 to 100"),
        (CHECKPOINT, {"curriculum": [1]}, "curriculum is [1], not an object of values"),
        (CHECKPOINT, {"interrupted": {"epoch": 1}}, "not an object of epoch, logs"),
        (CHECKPOINT, {"origin": {"settings": {"seed": 0}}}, "not an object of images, settings"),
        (RECORD, {"loss": 1.0}, "there is no 'step'"),
        (RECORD, {"step": 1, "loss": None}, "loss is null, not a number"),
        (RECORD, {"step": 1, "x": 10**400}, "x is 1000"),
        (RESULTS, {"protocol": "a", "rows": [{"top1": "1"}]}, "rows is"),
        (RESULTS, {"protocol": "a", "notes": [1]}, "notes is [1]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_field_and_value(of, found, words):
    assert words in of.fault(found)


def test_a_value_that_is_long_or_no_ascii_is_shown_in_part():
    assert RUN.fault(GOOD | {"keras": ["\udce9" * 999]}).endswith("..., not a string")
    assert RUN.fault(GOOD | {"keras": ["\udce9" * 999]}).isascii()


@pytest.mark.parametrize("text", ["[" * 100_000, "\xff", "{", '{"step": 1} 2', "1" * 5000])
def test_whatever_is_wrong_with_json_is_one_error(text):
    with pytest.raises(ValueError, match=r"\S"):
        schema.parse(text.encode("latin-1"))


def test_a_file_that_never_ends_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(BrokenFile, match=r"run.json cannot be read \(it is not a regular file\)"):
        read_object(tmp_path / "run.json", RUN)
    (tmp_path / "long.json").write_bytes(b" " * 200)
    with pytest.raises(ValueError, match="more than 0 MB"):
        schema.read_regular(tmp_path / "long.json", 100)
