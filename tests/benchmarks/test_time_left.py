"""The time that runs still take follows from what was timed, by kind and views."""

import pytest

from benchmarks.time_left import Progress, Work, seconds_left


def test_nothing_is_known_before_an_epoch_was_timed():
    begun = Progress("and", Work(10), epochs=4, timed_epochs=0, seconds=30.0)
    assert seconds_left([begun]) is None


def test_each_kind_has_its_rate_and_a_new_kind_that_of_all():
    timed = [
        Progress("and", Work(10), epochs=10, timed_epochs=10, seconds=20.0),  # 2 s an epoch
        Progress("instance", Work(10), epochs=4, timed_epochs=4, seconds=16.0),  # 4 s an epoch
    ]
    new = [Progress(kind, Work(10), 0, 0, 0.0) for kind in ("and", "instance", "supervised")]
    for run, seconds in zip(new, (20, 40, 30), strict=True):
        assert seconds_left([run], timed) == pytest.approx(seconds)
    assert seconds_left([timed[1], *new], timed[:1]) == pytest.approx(6 * 4 + 20 + 40 + 30)


def test_two_views_take_twice_the_time():
    one_view = Progress("and", Work(10), epochs=10, timed_epochs=10, seconds=20.0)
    two_views = Progress("and", Work(10, views=2), 0, 0, 0.0)
    assert seconds_left([two_views], [one_view]) == pytest.approx(40)


def test_only_the_epochs_since_it_was_started_count_for_a_running_training():
    running = Progress("and", Work(10), epochs=6, timed_epochs=2, seconds=10.0)
    assert seconds_left([running]) == pytest.approx(4 * 5)
