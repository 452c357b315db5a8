"""Image files are read once, and at the next start not at all."""

import builtins
import io
import os
import pathlib
import zlib

import numpy as np
import pytest
from helpers.pictures import error_of, write_images

from and_tf.data import check_cache, file_checks
from and_tf.data.file_checks import check_files
from and_tf.data.manifest import manifest
from and_tf.data.sources.opening import open_source
from and_tf.runs import atomic_files

NAMES = [f"{number}.png" for number in range(5)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images that were written a while ago, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(check_cache, "SETTLED_SECONDS", -1.0)
    write_images(tmp_path / "photos", NAMES)
    return tmp_path / "photos"


@pytest.fixture
def opened(folder, monkeypatch):
    """Names of the images that were opened, by whatever call."""
    names = []

    def spy_on(module):
        plain = module.open

        def spy(file, *args, **kwargs):
            if isinstance(file, str | os.PathLike) and pathlib.Path(file).parent == folder:
                names.append(pathlib.Path(file).name)
            return plain(file, *args, **kwargs)

        monkeypatch.setattr(module, "open", spy)

    for module in (io, builtins, os):
        spy_on(module)
    return names


def kept(tmp_path):
    return list(tmp_path.rglob("image_files/*"))


def test_a_start_opens_each_file_once_and_the_next_none(folder, opened):
    source = open_source(f"folder:{folder}")
    first = manifest(source)
    assert sorted(opened) == NAMES
    assert source.image_shapes.tolist() == [[8, 8]] * 5
    opened.clear()
    again = manifest(open_source(f"folder:{folder}"))
    assert opened == []
    assert first.checksums.tolist() == [zlib.crc32((folder / n).read_bytes()) for n in NAMES]
    np.testing.assert_array_equal(again.checksums, first.checksums)
    np.testing.assert_array_equal(again.sizes, first.sizes)


def test_new_and_changed_files_are_read_again(folder, opened):
    check_files(folder, NAMES)
    path = folder / NAMES[2]
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # an edit that hides
    write_images(folder, ["new.png"])
    opened.clear()
    found = check_files(folder, [*NAMES, "new.png"])
    assert sorted(opened) == [NAMES[2], "new.png"]
    assert found.checksums[2] == zlib.crc32(content)


def test_a_file_that_was_written_a_moment_ago_is_not_trusted(folder, opened, monkeypatch):
    monkeypatch.setattr(check_cache, "SETTLED_SECONDS", 1000.0)
    check_files(folder, NAMES)
    opened.clear()
    check_files(folder, NAMES)
    assert sorted(opened) == NAMES


def test_decoded_is_another_check_than_opened(folder, opened):
    check_files(folder, NAMES)
    path = folder / NAMES[0]
    path.write_bytes(path.read_bytes()[:-30])
    assert check_files(folder, NAMES).reasons == [None] * 5
    assert check_files(folder, NAMES, decode=True).reasons[0]
    opened.clear()
    check_files(folder, NAMES, decode=True)
    assert opened == [NAMES[0]]  # a broken file may have been mended


def test_files_that_are_gone_and_come_do_not_hide_the_others(folder, opened):
    check_files(folder, NAMES)
    write_images(folder, ["new.png"])
    opened.clear()
    names = ["new.png", NAMES[3], NAMES[1]]
    found = check_files(folder, names)
    assert opened == ["new.png"]
    assert found.checksums.tolist() == [zlib.crc32((folder / name).read_bytes()) for name in names]


def test_the_cache_of_another_version_is_read(folder, tmp_path, opened):
    check_files(folder, NAMES)
    (path,) = kept(tmp_path)
    with np.load(path) as file:
        np.savez_compressed(path, **file)
    opened.clear()
    check_files(folder, NAMES)
    assert opened == []


def test_large_sets_are_compared_by_names_and_sizes(folder, opened, monkeypatch):
    monkeypatch.setattr(file_checks, "CHECKED_BYTES", 100)
    found = check_files(folder, NAMES)
    assert found.checksums is None and found.shapes.tolist() == [[8, 8]] * 5
    assert sorted(opened) == NAMES


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_corrupt_cache_is_done_without(folder, tmp_path, content):
    expected = check_files(folder, NAMES)
    (path,) = kept(tmp_path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    found = check_files(folder, NAMES)
    np.testing.assert_array_equal(found.checksums, expected.checksums)
    assert len(check_cache.read(folder, False, True)) == 5  # and written anew


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_home_that_takes_no_cache_does_no_harm(folder, tmp_path, monkeypatch, kind):
    home = tmp_path / "home"
    if kind == "file":
        home.write_text("")
    else:
        monkeypatch.setattr(atomic_files.tempfile, "mkdtemp", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    assert check_files(folder, NAMES).reasons == [None] * 5


def refuse(**arguments):
    raise PermissionError("read-only")


def test_a_writer_that_fails_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(check_cache.np, "savez", full)
    check_files(folder, NAMES)
    assert kept(tmp_path) == []


def test_broken_files_are_named_as_ever(folder):
    (folder / "a.jpg").write_bytes(b"")
    os.mkfifo(folder / "b.jpg")
    message = error_of(open_source, f"folder:{folder}")
    assert "a.jpg (empty file)" in message and message.startswith("2 broken image(s)")
    (folder / "a.jpg").write_bytes(b"nonsense")
    assert "a.jpg (not an image of a known format)" in error_of(open_source, f"folder:{folder}")
