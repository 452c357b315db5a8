"""What must hold for any source and manifest, whatever hypothesis draws."""

import os
import tempfile

import numpy as np
from helpers.drawn import SEEDS, SETTINGS
from helpers.spoiled import png
from hypothesis import given
from hypothesis import strategies as st

from and_tf.data.manifest import Manifest, changes, manifest
from and_tf.data.sources.source import EncodedSource, array_source


@st.composite
def sources(draw, least=1):
    """An array source or one of encoded images, of up to 12 images of 5 x 5 pixels."""
    count = draw(st.integers(least, 12))
    rng = np.random.default_rng(draw(SEEDS))
    if draw(st.booleans()):
        labels = rng.integers(-1, 3, count)
        return array_source(rng.integers(0, 256, (count, 5, 5, 3), dtype=np.uint8), labels)
    items = [png(5, seed=int(seed)) for seed in rng.integers(0, 99, count)]
    return EncodedSource(items, "drawn", names=[f"{i}.png" for i in range(count)])


def one_by_one(source, indices, size):
    images = [source.load([index], size)[0] for index in indices]
    return np.array(images, np.uint8).reshape(-1, size, size, 3)


@SETTINGS
@given(source=sources(), size=st.sampled_from([3, 5, 8]), data=st.data())
def test_any_order_and_split_of_loading_gives_the_same_images(source, size, data):
    places = st.integers(0, len(source) - 1)
    batches = data.draw(st.lists(st.lists(places, max_size=6), max_size=4))
    for batch in batches:
        np.testing.assert_array_equal(source.load(batch, size), one_by_one(source, batch, size))


@SETTINGS
@given(source=sources(), data=st.data())
def test_taking_twice_is_taking_once(source, data):
    first = data.draw(st.lists(st.integers(0, len(source) - 1), min_size=1, max_size=8))
    second = data.draw(st.lists(st.integers(0, len(first) - 1), min_size=1, max_size=8))
    direct = source.take(np.array(first)[second])
    nested = source.take(first).take(second)
    every = np.arange(len(second))
    np.testing.assert_array_equal(direct.load(every, 5), nested.load(every, 5))
    assert direct.names == nested.names and direct.fingerprint == nested.fingerprint
    if source.labels is not None:
        np.testing.assert_array_equal(direct.labels, nested.labels)


@SETTINGS
@given(source=sources(), data=st.data())
def test_fingerprint_and_manifest_tell_whether_an_image_changed(source, data):
    place = data.draw(st.integers(0, len(source) - 1))
    same, other = source.take(slice(None)), source.take(slice(None))
    if isinstance(source, EncodedSource):
        longer = other.items[place] + b"\0"
        other = EncodedSource(
            [longer if i == place else item for i, item in enumerate(other.items)],
            "drawn", names=other.names,
        )  # fmt: skip
    else:
        row, column, channel = (data.draw(st.integers(0, n)) for n in (4, 4, 2))
        other.images[place, row, column, channel] ^= data.draw(st.integers(1, 255))
    assert same.fingerprint == source.fingerprint != other.fingerprint
    assert changes(manifest(source), manifest(same)) == ""
    told = changes(manifest(source), manifest(other))
    assert told.startswith("1 edited (") and str(place) in told


@SETTINGS
@given(sources(least=2), st.data())
def test_a_byte_of_any_image_shows_in_the_manifest(source, data):
    if not isinstance(source, EncodedSource):
        return
    place = data.draw(st.integers(0, len(source) - 1))
    item = bytearray(source.items[place])
    item[data.draw(st.integers(0, len(item) - 1))] ^= data.draw(st.integers(1, 255))
    items = [bytes(item) if i == place else old for i, old in enumerate(source.items)]
    other = EncodedSource(items, "drawn", names=source.names)
    assert changes(manifest(source), manifest(other)) == f"1 edited ({place}.png)"


FILE_NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: not {0, 47} & set(name))


@SETTINGS
@given(st.lists(FILE_NAMES.map(os.fsdecode), min_size=1, max_size=8, unique=True), SEEDS)
def test_a_manifest_comes_back_with_any_legal_file_name(names, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 2**40, len(names))
    kept = Manifest(np.array(names, dtype=object), sizes, rng.integers(0, 2**32, len(names), "u4"))
    with tempfile.TemporaryFile() as file:
        np.savez_compressed(file, **kept.arrays())
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            again = Manifest.from_arrays(dict(arrays))
    assert list(again.names) == names and changes(kept, again) == ""
    np.testing.assert_array_equal(again.sizes, kept.sizes)
    np.testing.assert_array_equal(again.checksums, kept.checksums)


def listed(kind, names):
    return f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


@SETTINGS
@given(st.lists(st.sampled_from(["kept", "removed", "renamed", "edited", "added"]), max_size=14))
def test_changes_are_told_one_by_one(fates):
    before, after = {}, {}
    told = {"added": [], "removed": [], "renamed": [], "edited": []}
    for number, fate in enumerate(fates):
        name, content = f"{number:02}.png", f"image {number}".encode()
        if fate != "added":
            before[name] = content
        if fate in ("kept", "added"):
            after[name] = content
        elif fate == "edited":
            after[name] = content[::-1]
        elif fate == "renamed":
            after[f"new_{name}"] = content
        if fate != "kept":
            told[fate].append(f"{name} to new_{name}" if fate == "renamed" else name)
    if not before or not after:
        return
    old, new = (
        manifest(EncodedSource(list(images.values()), "drawn", names=list(images)))
        for images in (before, after)
    )
    expected = [listed(kind, names) for kind, names in told.items() if names]
    assert changes(old, new) == ", ".join(expected)
