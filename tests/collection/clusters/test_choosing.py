"""The number of clusters is found where there is one, and called unclear where there is none."""

import csv
import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

from and_tf.collection.clusters import choosing
from and_tf.collection.clusters.choosing import (
    candidate_numbers,
    choose_number,
    print_candidates,
    write_candidates,
)
from and_tf.collection.clusters.found import Candidate
from and_tf.errors import UserError


def blobs(count, num_images=200, spread=0.25, dim=12, seed=0):
    """Rows around `count` orthogonal directions."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, count, num_images)
    return (np.eye(dim)[numbers] + spread * rng.normal(size=(num_images, dim))).astype("float32")


@pytest.mark.parametrize("count", [3, 5, 8])
def test_the_number_of_well_separated_clusters_is_found(count):
    found = choose_number(blobs(count, spread=0.1), seed=0)
    assert found.number == count
    assert found.reason.startswith(f"{count} clusters are separated best")


@pytest.mark.parametrize("kind", ["sphere", "cube", "long cloud"])
def test_points_without_clusters_have_no_clear_number(kind):
    rng = np.random.default_rng(1)
    rows = {
        "sphere": rng.normal(size=(200, 16)),
        "cube": rng.uniform(size=(200, 10)),
        "long cloud": rng.normal(size=(200, 8)) * [4, 1, 1, 1, 1, 1, 1, 1] + 6,
    }[kind]
    found = choose_number(rows, seed=0)
    assert found.reason.startswith("There is no clear number of clusters")
    assert found.number in candidate_numbers(200)


def test_digits_come_in_about_as_many_clusters_as_there_are_digits():
    found = choose_number(load_digits().data[:600], seed=0)
    assert 8 <= found.number <= 12 and "are separated best" in found.reason


def test_of_numbers_as_stable_the_one_that_lies_apart_best_is_chosen():
    """Six clusters in three pairs: five have nearly the same silhouette and are as stable."""
    rng = np.random.default_rng(0)
    rows = np.eye(6)[rng.integers(0, 6, 300)] + 0.05 * rng.normal(size=(300, 6))
    pairs = rows + 0.5 * rows[:, [1, 0, 3, 2, 5, 4]]
    assert choose_number(pairs, seed=0).number == 6


def test_stable_numbers_of_finer_clusters_are_named(monkeypatch):
    values = {2: (0.5, 0.9), 3: (0.3, 0.7), 4: (0.4, 0.8), 5: (0.3, 0.9)}
    monkeypatch.setattr(choosing, "candidate_numbers", lambda count: list(values))
    monkeypatch.setattr(choosing, "_candidate", lambda rows, k, seed: Candidate(k, *values[k]))
    found = choose_number(blobs(2), seed=0)
    assert found.number == 2 and found.reason.endswith("Finer and also stable: 4, 5.")


def test_the_choice_is_a_function_of_the_seed():
    rows = blobs(4)
    first, second = choose_number(rows, seed=3), choose_number(rows, seed=3)
    assert first == second
    assert first.candidates != choose_number(rows, seed=4).candidates


def test_of_many_images_a_sample_is_compared(monkeypatch):
    monkeypatch.setattr(choosing, "SAMPLE", 100)
    found = choose_number(blobs(4, 3000, spread=0.05), seed=0)
    assert found.number == 4
    assert [candidate.num_clusters for candidate in found.candidates] == candidate_numbers(100)


@pytest.mark.parametrize("num_images", [10, 60, 200, 5000, 10**6])
def test_candidates_rise_geometrically_to_the_root_of_half_the_images(num_images):
    numbers = candidate_numbers(num_images)
    assert numbers[0] == 2 and numbers == sorted(set(numbers))
    most = (num_images / 2) ** 0.5
    assert numbers[-1] <= most + 0.5 and numbers[-1] * 1.3 >= min(most, 12) - 0.5
    assert all(after / before <= 1.5 for before, after in itertools.pairwise(numbers))


def test_stability_is_one_for_clusters_that_come_back_and_low_for_arbitrary_ones():
    rows = blobs(5, spread=0.05)
    assert choosing.stability(rows, 5, seed=0) > 0.99
    noise = np.random.default_rng(0).normal(size=(200, 16))
    assert choosing.stability(noise, 8, seed=0) < 0.6


def test_few_images_are_refused():
    with pytest.raises(UserError, match=r"clusters='auto' needs at least 10 images.* 9"):
        choose_number(np.eye(9), seed=0)


def test_the_table_is_printed_and_written(tmp_path, capsys):
    found = choose_number(blobs(3), seed=0)
    print_candidates(found.candidates, found.number)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["clusters", "silhouette", "stability"]
    assert [line.split()[0] for line in lines if "chosen" in line] == [str(found.number)]
    with open(write_candidates(tmp_path / "a.csv", found.candidates, found.number)) as file:
        rows = list(csv.DictReader(file))
    assert [int(row["clusters"]) for row in rows] == candidate_numbers(200)
    assert [row["clusters"] for row in rows if row["chosen"] == "1"] == [str(found.number)]
    for row, candidate in zip(rows, found.candidates, strict=True):
        assert float(row["silhouette"]) == pytest.approx(candidate.silhouette, abs=1e-4)
