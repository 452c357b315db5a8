"""A checkpoint comes back bit for bit or is refused, whatever hypothesis draws."""

import pathlib

import numpy as np
import pytest
from helpers.drawn import SETTINGS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from and_tf.runs import checkpoint

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
METADATA = st.dictionaries(
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
@given(state=STATES, metadata=METADATA)
def test_a_checkpoint_comes_back_bit_for_bit(path, state, metadata):
    checkpoint.save(path, state, metadata)
    arrays, told = checkpoint.load(path)
    assert bits(arrays) == bits(state) and told == metadata


def loaded_from(content, path):
    """Arrays and metadata of a checkpoint of these bytes; None if it is refused."""
    other = pathlib.Path(path).with_name("other.npz")
    other.write_bytes(content)
    try:
        return checkpoint.load(other)
    except ValueError as error:
        assert str(other) in str(error) and "\n" not in str(error)
        return None


@SETTINGS
@given(state=STATES, metadata=METADATA, share=st.floats(0, 1, exclude_max=True))
def test_a_checkpoint_cut_anywhere_is_refused(path, state, metadata, share):
    checkpoint.save(path, state, metadata)
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
        arrays, metadata = found
        # An array that the directory lost is refused by `restore`, which knows the names.
        assert bits(arrays).items() <= bits(state).items() and metadata == {"step": 7}
