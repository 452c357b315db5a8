"""What the tests of benchmarks share."""

import gc

import pytest


@pytest.fixture(autouse=True)
def no_collection(monkeypatch):
    """The garbage of thousands of tests takes a minute to free, where a benchmark has little."""
    monkeypatch.setattr(gc, "collect", lambda *generation: 0)
