"""What is known of parts is on disk after each of them."""

from benchmarks.record import Record


def test_what_is_kept_is_known_to_the_next_program(tmp_path):
    path = tmp_path / "new" / "record.json"
    record = Record(path)
    record.keep("a", seconds=1.5)
    record.keep("a", top1=50)
    record.keep("b", curve=[1, 2])
    assert Record(path).known == {"a": {"seconds": 1.5, "top1": 50}, "b": {"curve": [1, 2]}}
