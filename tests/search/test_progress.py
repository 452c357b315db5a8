import pytest

from and_tf.search.progress import PairProgress, estimate_message


@pytest.mark.parametrize(
    ("num_rows", "seconds", "expected"),
    [(1_281_167, 840, "Discovery compares 1,281,167 images with one another: about 14 minutes."),
     (2_000_000, 3 * 3600, "about 3.0 hours. neighbour_search=faiss"),
     (20_000_000, 600, "about 10 minutes. neighbour_search=faiss"),
     (50_000_000, 5 * 86400, "about 5.0 days. neighbour_search=faiss")],
)  # fmt: skip
def test_long_discoveries_are_announced(num_rows, seconds, expected):
    assert expected in estimate_message(num_rows, seconds)


def test_the_estimate_is_logged_once_after_the_first_blocks(monkeypatch, caplog):
    caplog.set_level("INFO", logger="and_tf")
    clock = iter([0.0, 0.5, 2.0, 2.0])
    monkeypatch.setattr("and_tf.search.progress.time.monotonic", lambda: next(clock))
    with PairProgress(1000, is_shown=True) as progress:
        for _ in range(5):  # 10,000 pairs in 2 s after the first block: 1,000,000 take 200 s
            progress.add(5000)
    assert caplog.messages == ["Discovery compares 1,000 images with one another: about 3 minutes."]
