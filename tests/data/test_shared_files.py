"""Files that several processes check together: each opens a part of them, once."""

import threading

import numpy as np
import pytest
from helpers.image_files import photo
from helpers.replicas_in_threads import on_each

from and_tf.data import file_checks
from and_tf.data.file_checks import check_files
from and_tf.data.shared_files import check_same_files, merged
from and_tf.data.sharing import from_first, gathered
from and_tf.errors import UserError

NAMES = [f"{number}.png" for number in range(7)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Of seven images, one of which is broken; without checks that are known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = tmp_path / "images"
    images.mkdir()
    for number, name in enumerate(NAMES):
        photo((4 + number, 5)).save(images / name)
    (images / NAMES[4]).write_bytes(b"no image")
    return images


@pytest.mark.parametrize("size", [2, 3, 9])
def test_each_opens_other_files_and_all_know_all_checks(folder, size, monkeypatch):
    opened, lock = [], threading.Lock()
    check = file_checks._check

    def counted(path, *others):
        with lock:
            opened.append(path)
        return check(path, *others)

    monkeypatch.setattr(file_checks, "_check", counted)
    found, _ = on_each(size, lambda sharing: check_files(folder, NAMES, sharing=sharing))
    assert sorted(opened) == [str(folder / name) for name in NAMES]
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "another"))
    alone = check_files(folder, NAMES)
    for checks in found:
        np.testing.assert_array_equal(checks.checksums, alone.checksums)
        np.testing.assert_array_equal(checks.shapes, alone.shapes)
        assert checks.reasons == alone.reasons and checks.reasons[4]


@pytest.mark.parametrize(
    ("others", "what"),
    [
        (["a", "b", "c", "d"], "3 of the chief, 4 of process 1; .* number 4 in"),
        (["a", "b"], "3 of the chief, 2 of process 1; .* number 3 in"),
        (["a", "x", "c"], "3 of the chief, 3 of process 1; .* number 2 in photos, is [bx] [(]9 by"),
    ],
)
def test_other_files_are_refused_by_all_with_the_first_that_differs(others, what):
    def work(sharing):
        names = others if sharing.number == 1 else ["a", "b", "c"]
        with pytest.raises(UserError, match=what):
            check_same_files("photos", names, np.full(len(names), 9), sharing)

    on_each(3, work)


def test_entries_of_all_come_to_all():
    found, _ = on_each(3, lambda sharing: merged(sharing, {str(sharing.number): "\u00e9" * 9}))
    assert found == [dict.fromkeys("012", "\u00e9" * 9)] * 3


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "float32", "bool"])
def test_rows_of_any_type_are_put_together(dtype):
    rows = np.arange(15).reshape(5, 3).astype(dtype)
    parts = [(0, 2), (2, 2), (2, 5)]

    def work(sharing):
        start, stop = parts[sharing.number]
        return gathered(sharing, rows[start:stop], start, 5)

    for found in on_each(3, work)[0]:
        np.testing.assert_array_equal(found, rows)
        assert found.dtype == dtype


def test_the_first_computes_for_all():
    calls = []

    def work(sharing):
        def compute():
            calls.append(sharing.number)
            return np.array([3, 1])

        return from_first(sharing, compute, (2,), np.int64)

    assert [found.tolist() for found in on_each(3, work)[0]] == [[3, 1]] * 3 and calls == [0]
