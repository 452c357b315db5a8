"""Work on many files is done once for each, by threads where it waits."""

import itertools
import threading

import numpy as np
import pytest

from and_tf.data import parts

COUNT = 1234


def rows_and_threads(**options):
    done, threads = [], set()

    def work(rows):
        done.extend(rows.tolist())
        threads.add(threading.current_thread())

    assert sum(parts.in_parts(work, np.arange(COUNT), **options)) == COUNT
    assert sorted(done) == list(range(COUNT))
    return threads - {threading.current_thread()}


@pytest.mark.parametrize(("waits", "by_threads"), [(0, False), (10 * COUNT, True)])
def test_work_is_done_alone_unless_it_waits(monkeypatch, waits, by_threads):
    counter = itertools.count(step=waits)
    monkeypatch.setattr(parts, "_waits", lambda: next(counter))
    assert bool(rows_and_threads()) == by_threads


def test_decoding_is_given_to_threads_at_once():
    assert rows_and_threads(in_threads=True)


def test_there_may_be_nothing_to_do():
    assert list(parts.in_parts(print, np.arange(0))) == []


@pytest.mark.parametrize("in_threads", [True, False])
def test_errors_are_raised(in_threads):
    def fail(rows):
        if 700 in rows:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(parts.in_parts(fail, np.arange(COUNT), in_threads))
