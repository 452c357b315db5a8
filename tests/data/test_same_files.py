"""Files that several processes check together: each opens a part of them, once."""

import os
import shutil
import threading

import numpy as np
import pytest
from helpers.image_files import photo
from helpers.replicas_in_threads import on_each

from and_tf.data import check_cache, file_checks
from and_tf.data import manifest as manifests
from and_tf.data.augmentation.columns import VALUES_PER_IMAGE
from and_tf.data.exchange import from_first, gathered
from and_tf.data.file_checks import check_files
from and_tf.data.manifest import manifest
from and_tf.data.same_files import check_same_files, merged
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.folder import source_of_files
from and_tf.errors import ImageChanged, UserError

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


def test_processes_with_one_home_keep_the_checks_of_all(folder, monkeypatch):
    monkeypatch.setattr(check_cache, "SETTLED_SECONDS", -1.0)
    on_each(3, lambda sharing: check_files(folder, NAMES, sharing=sharing))
    assert len(check_cache.read(folder, False, True)) == 6  # all but the broken one


@pytest.fixture
def copy(folder, tmp_path, monkeypatch):
    """The same images on the disk of another process, but for one of the same size."""
    monkeypatch.setattr(check_cache, "SETTLED_SECONDS", -1.0)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / NAMES[0]).write_bytes((copy / NAMES[0]).read_bytes()[:-1] + b"x")
    return copy


def test_checks_of_a_copy_on_another_disk_are_not_kept(folder, copy):
    """A process keeps what it has checked itself, and what it knew of its own copy."""
    check_files(copy, NAMES[1:2])
    folders = [folder, copy]
    found, _ = on_each(2, lambda s: check_files(folders[s.number], NAMES, sharing=s))
    known = check_cache.read(copy, False, True)
    kept = known.checks_of(NAMES, file_checks.file_states(copy, NAMES))
    assert kept.is_known.tolist() == [False, True, False, True, False, True, True]
    is_elsewhere = found[1].mtimes == file_checks.READ_ELSEWHERE
    assert is_elsewhere.tolist() == [True, True, True, False, False, False, False]


def test_a_copy_that_is_known_to_differ_is_refused_at_the_start(folder, copy):
    check_files(copy, NAMES[:2])
    folders = [folder, copy]

    def work(sharing):
        if sharing.number == 0:
            return check_files(folder, NAMES, sharing=sharing)
        with pytest.raises(
            UserError, match=rf"{copy / NAMES[0]} differs from the file .*1 such files"
        ):
            check_files(folders[1], NAMES, sharing=sharing)
        # The first needs it for what all exchange after the checks.
        return from_first(sharing, lambda: None, (len(NAMES),), np.int64)

    on_each(2, work)


def test_a_copy_that_differs_is_refused_where_it_is_trained_on(folder, copy):
    folders = [folder, copy]
    found, _ = on_each(2, lambda s: check_files(folders[s.number], NAMES, sharing=s))
    rows = np.array([0, 1, 2])
    source = source_of_files("copy", copy, NAMES, found[1], rows, None, None)
    noise = np.full((1, VALUES_PER_IMAGE), 0.5, np.float32)
    source.load_crops(np.array([1]), noise, AugmentationSettings(image_size=8))
    with pytest.raises(
        ImageChanged, match=f"{copy / NAMES[0]} differs from the file .*same images"
    ):
        source.load_crops(np.array([0]), noise, AugmentationSettings(image_size=8))


def test_checksums_of_a_manifest_are_shared_out(monkeypatch):
    source, read, lock = _distinct_images(7), [], threading.Lock()
    alone, checksum = manifest(source), manifests._checksum

    def counted(item):
        with lock:
            read.append(item.tobytes())
        return checksum(item)

    monkeypatch.setattr(manifests, "_checksum", counted)
    found, _ = on_each(3, lambda sharing: manifest(source, sharing))
    assert len(read) == len(set(read)) == 7
    assert {each.content for each in found} == {alone.content}


def _distinct_images(count):
    return array_source(np.arange(count * 12, dtype=np.uint8).reshape(count, 2, 2, 3))


def test_hard_links_are_those_that_the_first_sees(folder, monkeypatch):
    """On the disk of another machine they may be copies."""
    (folder / NAMES[6]).unlink()
    os.link(folder / NAMES[2], folder / NAMES[6])
    states_of = file_checks.file_states

    def states_on(sharing):
        found = states_of(folder, NAMES)
        return found if sharing.number == 0 else found._replace(files=np.arange(7))

    this = threading.local()
    monkeypatch.setattr(file_checks, "file_states", lambda *_: states_on(this.replica))

    def work(sharing):
        this.replica = sharing
        return check_files(folder, NAMES, sharing=sharing)

    for checks in on_each(3, work)[0]:
        assert checks.files.tolist() == [0, 1, 2, 3, 4, 5, 2]


@pytest.mark.parametrize(
    ("others", "what"),
    [
        (["a", "b", "c", "d"], "3 on the chief, 4 on process 1; .* number 4 in"),
        (["a", "b"], "3 on the chief, 2 on process 1; .* number 3 in"),
        (["a", "x", "c"], "3 on the chief, 3 on process 1; .* number 2 in photos, is [bx] [(]9 by"),
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
