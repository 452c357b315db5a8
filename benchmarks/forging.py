"""Forgeries of the files in a run's folder, as hypothesis strategies.

`tests/runs/test_forged_folders.py` reads thousands of them, and `benchmarks.soak` runs whole
programs on forged copies of a run.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31 - 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 5e-324]),
    st.integers(-3, 200),
    st.floats(allow_nan=True, allow_infinity=True),
)
TEXTS = st.one_of(
    st.sampled_from(["", "0", "fc", "\udce9", "../../x", "{{ 7 }}"]), st.text(max_size=5)
)
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=4), st.dictionaries(TEXTS, PLAIN, max_size=3),
    st.builds(lambda: [[]]), st.builds(lambda: {"a": {"a": {}}}),
)  # fmt: skip


@st.composite
def forged(draw: Any, valid: Mapping[str, Any]) -> bytes:
    """The JSON text of an object with fields changed, dropped or added, or bytes corrupted."""
    found = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(0, 2))):
        places = [found, *(v for v in found.values() if isinstance(v, dict))]
        place = draw(st.sampled_from(places))
        name = draw(st.sampled_from([*place, *found, "more"]))
        if draw(st.integers(0, 5)):
            place[name] = draw(VALUES)
        else:
            place.pop(name, None)
    text = json.dumps(found).encode()
    kind = draw(st.integers(0, 23))
    if kind == 0:
        return text[: draw(st.integers(0, len(text)))]
    if kind == 1:
        place = draw(st.integers(0, len(text)))
        return text[:place] + draw(st.binary(max_size=4)) + text[place:]
    if kind == 2:
        return draw(st.sampled_from([b"", b"[]", b"null", b"[" * 5000, b"\xff\xfe", b"\0" * 99]))
    return text


@st.composite
def forged_arrays(
    draw: Any, valid: Mapping[str, np.ndarray], shapes: Sequence[tuple[int, ...]] = ()
) -> dict[str, np.ndarray]:
    """The arrays of a file, one of which has another shape, type or value, or is missing.

    Args:
        valid: arrays as they are written.
        shapes: further shapes that the array may have.
    """
    arrays = dict(valid)
    name = draw(st.sampled_from(sorted(arrays)))
    of_it = arrays[name]
    others = [of_it.shape, of_it.shape, (), (8,), (0,), (8, 2), (7, 1), *shapes]
    shape = draw(st.sampled_from(others))
    types = [of_it.dtype] * 4 + ["f4", "i8", "?", "U3", "c8", "M8[s]", "V3"]
    dtype = draw(st.sampled_from(types))
    value = draw(st.sampled_from([0, 1, 7, 8, -1, 2**40, np.nan, np.inf]))
    with np.errstate(all="ignore"):
        try:
            arrays[name] = np.full(shape, value).astype(dtype)
        except (TypeError, ValueError):
            arrays[name] = np.zeros(shape, dtype)
    if not draw(st.integers(0, 9)):
        del arrays[name]
    return arrays


@st.composite
def spoiled(draw: Any, content: bytes, start: int = 0) -> bytes:
    """The bytes of a file, sometimes truncated or with other bytes at a place from `start` on."""
    kind = draw(st.integers(0, 11))
    if kind > 1 or len(content) <= start:
        return content
    place = draw(st.integers(start, len(content) - 1))
    if kind == 0:
        return content[:place]
    return content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place + 1 :]


RESULT = {  # of evaluate.py
    "protocol": "kNN", "classifier": "knn", "layer": "fc", "checkpoint": "last", "reference": "a",
    "queries": "b", "rows": [{"layer": "fc", "values": 8, "top1": 5.0, "k": 3}], "step": 2,
    "epoch": 2, "top1": 5.0, "top1_deviation": 1.0, "notes": ["n"], "files": ["f"],
}  # fmt: skip


def write_npz(path: Path, metadata: bytes, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint with any metadata and arrays, and with valid checksums."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as file:
        np.savez(file, facts=np.array(metadata.decode("latin-1")), **arrays)  # type: ignore[arg-type]


LINKS = ("link to a file", "link to a folder", "link to nothing", "link to itself")
ENTRIES = [*LINKS, "text", "folder", "pipe", "bytes", "nothing"]


def put(path: Path, kind: str, outside: Path) -> None:
    """Puts something in the place of a file of a run.

    Args:
        path: of the file, which does not exist.
        kind: one of `ENTRIES`.
        outside: a folder with a file `precious`, to which links lead.
    """
    if not path.parent.is_dir() or path.parent.is_symlink() or kind == "nothing":
        return
    targets = (outside / "precious", outside, outside / "new", path)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in LINKS:
        path.symlink_to(targets[LINKS.index(kind)])
    else:
        path.write_bytes(b"--seed=1\n" if kind == "text" else b"PK\x03\x04\xff\0{")


def drawn(strategy: st.SearchStrategy, seed: int) -> Any:
    """One example of a strategy; the same for the same seed."""
    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=8,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def keep(example: Any) -> None:
        found.append(example)

    keep()
    return found[-1]  # the first ones are the simplest
