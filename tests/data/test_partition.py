import pytest
import tensorflow as tf

from and_tf.data.partition import share, share_of_batches

COUNTS = [(0, 3), (1, 4), (5, 4), (8, 4), (17, 4), (128, 1), (7, 7)]


@pytest.mark.parametrize(("count", "size"), COUNTS)
def test_parts_follow_one_another_and_are_about_equal(count, size):
    parts = [share(count, number, size) for number in range(size)]
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(count))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("count", "size"), COUNTS)
def test_of_tensors_they_are_the_same(count, size):
    for number in range(size):
        tensors = [tf.constant(value, tf.int64) for value in (count, number, size)]
        assert [int(end) for end in share(*tensors)] == list(share(count, number, size))


@pytest.mark.parametrize(("count", "size", "batch"), [(10, 2, 4), (3, 4, 2), (0, 2, 4), (64, 3, 1)])
def test_whole_batches_are_shared_out(count, size, batch):
    parts = [share_of_batches(count, number, size, batch) for number in range(size)]
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(count))
    assert all(start % batch == 0 or start == count for start, _ in parts)
