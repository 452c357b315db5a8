"""What must hold for any source, loss, discovery and checkpoint, whatever hypothesis draws."""

import os
import pathlib
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from helpers.spoiled import png
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from and_tf.data.manifest import Manifest, changes, manifest
from and_tf.data.sources.source import EncodedSource, array_source
from and_tf.methods.anchor_neighbourhoods.discovery import discover
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss, neighbourhood_loss
from and_tf.runs import checkpoint

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)
SEEDS = st.integers(0, 2**32 - 1)


# Sources


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


# Losses


@st.composite
def neighbourhoods(draw):
    """Embeddings (B, D), bank (N, D), indices, neighbours without the image itself, anchors."""
    num_rows, dim = draw(st.integers(2, 24)), draw(st.integers(1, 5))
    batch, k = draw(st.integers(1, 8)), draw(st.integers(1, min(4, num_rows - 1)))
    rng = np.random.default_rng(draw(SEEDS))
    indices = rng.integers(0, num_rows, batch)
    others = [rng.permutation(np.delete(np.arange(num_rows), index))[:k] for index in indices]
    rows, embeddings = unit(rng, num_rows, dim), unit(rng, batch, dim)
    return embeddings, rows, indices, np.array(others, "int32"), rng.random(batch) < 0.5


def unit(rng, count, dim):
    rows = rng.normal(size=(count, dim)).astype("float32") + np.float32(1e-3)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


TEMPERATURES = st.sampled_from([0.05, 0.1, 1.0])


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, SEEDS)
def test_the_loss_does_not_depend_on_the_order_of_the_bank(drawn, temperature, seed):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    order = np.random.default_rng(seed).permutation(len(rows))
    place = np.argsort(order)
    logits = embeddings @ rows.T / temperature
    plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    moved = neighbourhood_loss(logits[:, order], place[indices], place[neighbours], is_anchor)
    np.testing.assert_allclose(plain, moved, rtol=1e-5, atol=1e-5)
    assert np.min(plain) >= -1e-5


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, st.floats(-50, 50))
def test_the_loss_does_not_depend_on_a_shift_of_all_logits(drawn, temperature, shift):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    logits = embeddings @ rows.T / temperature
    plain = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    moved = neighbourhood_loss(logits + np.float32(shift), indices, neighbours, is_anchor)
    np.testing.assert_allclose(plain, moved, rtol=1e-4, atol=1e-4)


@SETTINGS
@given(neighbourhoods(), TEMPERATURES)
def test_the_gradient_at_the_logits_sums_to_nothing(drawn, temperature):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    logits = tf.constant(embeddings @ rows.T / temperature)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = neighbourhood_loss(logits, indices, neighbours, is_anchor)
    gradient = tape.gradient(losses, logits).numpy()  # softmax less the shares of the positives
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-5)
    assert np.abs(gradient).max() <= 1 + 1e-5
    positives = [{i, *row} if one else {i} for i, row, one in zip(*drawn[2:], strict=True)]
    for row, positive in zip(gradient, positives, strict=True):
        assert all(row[i] <= 1e-6 if i in positive else row[i] >= 0 for i in range(len(row)))


@SETTINGS
@given(neighbourhoods(), TEMPERATURES, st.integers(1, 30))
def test_the_loss_in_blocks_of_any_size_is_the_loss(drawn, temperature, block_size):
    embeddings, rows, indices, neighbours, is_anchor = drawn
    found = []
    for loss in (
        lambda x: neighbourhood_loss(
            x @ tf.transpose(rows) / temperature, indices, neighbours, is_anchor
        ),
        lambda x: bank_loss(x, rows, indices, neighbours, is_anchor, temperature, block_size),
    ):
        queries = tf.constant(embeddings)
        with tf.GradientTape() as tape:
            tape.watch(queries)
            losses = loss(queries)
        found.append((losses.numpy(), tape.gradient(losses, queries).numpy()))
    (plain, plain_gradient), (blocks, block_gradient) = found
    np.testing.assert_allclose(blocks, plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(block_gradient, plain_gradient, rtol=1e-4, atol=1e-4)


# Discovery


@st.composite
def banks(draw):
    """(N, D) rows, some of them copies of others, and k."""
    num_rows, dim = draw(st.integers(2, 30)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(SEEDS))
    rows = unit(rng, num_rows, dim)
    if draw(st.booleans()):
        rows = rows[rng.integers(0, num_rows, num_rows)]
    return rows, draw(st.integers(1, num_rows - 1))


def nearness(rows, neighbours):
    """Cosines of each row and its neighbours: what is left of them where ties may fall anyhow."""
    return np.einsum("nd,nkd->nk", rows, rows[neighbours])


@SETTINGS
@given(banks(), st.integers(1, 40), TEMPERATURES)
def test_discovery_does_not_depend_on_the_block_size(drawn, block_size, temperature):
    rows, k = drawn
    plain = discover(rows, k, temperature)
    blocks = discover(rows, k, temperature, block_size)
    np.testing.assert_allclose(blocks.entropy, plain.entropy, atol=1e-4)
    np.testing.assert_allclose(
        nearness(rows, blocks.neighbours), nearness(rows, plain.neighbours), atol=1e-5
    )


@SETTINGS
@given(banks(), TEMPERATURES, SEEDS)
def test_discovery_moves_with_the_rows(drawn, temperature, seed):
    rows, k = drawn
    order = np.random.default_rng(seed).permutation(len(rows))
    plain, moved = discover(rows, k, temperature), discover(rows[order], k, temperature)
    np.testing.assert_allclose(moved.entropy, plain.entropy[order], atol=1e-4)
    np.testing.assert_allclose(
        nearness(rows[order], moved.neighbours), nearness(rows, plain.neighbours)[order], atol=1e-5
    )


@SETTINGS
@given(banks(), st.sampled_from([0.005, 0.07, 1.0, 100.0]))
def test_neighbours_are_others_and_entropies_are_those_of_n_images(drawn, temperature):
    rows, k = drawn
    found = discover(rows, k, temperature)
    assert found.neighbours.shape == (len(rows), k)
    for row, near in enumerate(found.neighbours):
        assert row not in near and len(set(near)) == k
    assert found.entropy.min() >= -1e-5
    assert found.entropy.max() <= np.log(len(rows)) + 1e-4
    left_out = np.ones((len(rows), len(rows)), bool)
    np.put_along_axis(left_out, found.neighbours, False, axis=1)
    np.fill_diagonal(left_out, False)
    further = np.where(left_out, rows @ rows.T, -1).max(axis=1)
    assert (nearness(rows, found.neighbours).min(axis=1) >= further - 1e-5).all()


# Checkpoints

DTYPES = st.sampled_from(["float32", "float64", "float16", "int32", "int64", "uint8", "bool"])
NAMES = st.text("abz019_/.", min_size=1, max_size=12).map(lambda name: f"encoder/{name}")
FINITE = {"allow_nan": False, "allow_infinity": False}
ARRAYS = DTYPES.flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=FINITE if dtype.startswith("float") else None,
    )
)
STATES = st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5)
FACTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(**FINITE) | st.text(max_size=5),
        lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts),
        max_leaves=5,
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints") / "last.npz"


def bits(arrays):
    return {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


@SETTINGS
@given(state=STATES, facts=FACTS)
def test_a_checkpoint_comes_back_bit_for_bit(path, state, facts):
    checkpoint.save(path, state, facts)
    arrays, told = checkpoint.load(path)
    assert bits(arrays) == bits(state) and told == facts


def loaded_from(content, path):
    """Arrays and facts of a checkpoint of these bytes; None if it is refused."""
    other = pathlib.Path(path).with_name("other.npz")
    other.write_bytes(content)
    try:
        return checkpoint.load(other)
    except ValueError as error:
        assert str(other) in str(error) and "\n" not in str(error)
        return None


@SETTINGS
@given(state=STATES, facts=FACTS, share=st.floats(0, 1, exclude_max=True))
def test_a_checkpoint_cut_anywhere_is_refused(path, state, facts, share):
    checkpoint.save(path, state, facts)
    content = path.read_bytes()
    assert loaded_from(content[: int(share * len(content))], path) is None


@settings(SETTINGS, max_examples=300)
@given(data=st.data(), share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_byte_flipped_anywhere_never_gives_other_values(path, data, share, flip):
    state = {
        "encoder/kernel": np.arange(12, dtype="float32"),
        "bank": np.eye(3),
        "round": np.int32(1),
    }
    checkpoint.save(path, state, {"step": 7})
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= flip
    found = loaded_from(bytes(content), path)
    if found is not None:
        arrays, facts = found
        # An array that the directory lost is refused by `restore`, which knows the names.
        assert bits(arrays).items() <= bits(state).items() and facts == {"step": 7}
