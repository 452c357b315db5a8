"""What labels say of an encoder: against raw pixels, and against the largest folder."""

import numpy as np
import pytest

from and_tf.collection.page.trust import agreement, describe


def test_agreement_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    hits = 0
    for i in range(40):
        others = [(float(unit[i] @ unit[j]), labels[j]) for j in range(40) if j != i]
        hits += max(others)[1] == labels[i]
    assert agreement(rows, labels) == pytest.approx(100 * hits / 40)


def test_rows_of_length_0_have_some_neighbour():
    rows = np.zeros((4, 3), np.float32)
    assert 0 <= agreement(rows, np.array([0, 0, 1, 1])) <= 100


@pytest.mark.parametrize(
    ("encoder", "raw", "largest", "tone", "words"),
    [(80, 40, 20, "good", "better than"), (30, 60, 20, "poor", "worse than"),
     (41, 40, 20, "mixed", "not clearly different from"), (30, 20, 60, "poor", "worse than")],
)  # fmt: skip
def test_the_encoder_is_held_against_the_better_of_two_baselines(
    encoder, raw, largest, tone, words
):
    trust = describe(encoder, raw, largest, 400)
    assert trust.tone == tone and words in trust.sentence
    assert ("use another encoder" in trust.sentence) == (tone != "good")
