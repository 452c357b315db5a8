"""The measurements of near-duplicates and of what is planted, on generated pictures."""

import json

import pytest
from helpers.edited_photos import scene

from benchmarks import duplicates, planted


@pytest.fixture
def photos(tmp_path):
    for number in range(24):
        folder = tmp_path / "photos" / f"class_{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        scene(number).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_exact_copies_are_all_found_and_nothing_that_was_not_planted(photos, tmp_path, capsys):
    path = tmp_path / "found.json"
    duplicates.main(
        [f"--photos={photos}", "--originals=.", "--others=.", "--num_originals=2",
         "--num_others=8", f"--work={tmp_path / 'work'}", f"--json={path}"]
    )  # fmt: skip
    found = json.loads(path.read_text())
    assert found["recall"]["copy"] == 100 and found["precision"] == 100
    assert found["not planted"] == [] and len(found["recall"]) == 9
    assert len(list((tmp_path / "work").iterdir())) == 2 * 10 + 8
    assert "seed 1" in capsys.readouterr().out


def test_recall_and_precision_are_those_of_pairs_in_groups():
    truth = {"a": (0, "original"), **{kind: (0, kind) for kind in (*duplicates.EIGHT, "copy")}}
    names = [*truth, "stranger"]
    missed = next(iter(duplicates.EIGHT))
    members = tuple(row for row, name in enumerate(names) if name != missed)
    group = duplicates_group(members)
    found = duplicates.measure(names, duplicates.Duplicates([], [group], 1.0), truth)
    assert found["recall"][missed] == 0 and found["all eight"] == pytest.approx(100 * 7 / 8)
    count = len(members)
    assert found["pairs"] == count * (count - 1) // 2
    assert len(found["not planted"]) == count - 1  # the stranger with each other
    right = (count - 1) * (count - 2) // 2
    assert found["precision"] == pytest.approx(100 * right / found["pairs"])


def duplicates_group(members):
    from and_tf.collection.duplicates.groups import Group

    return Group(members, members[0], "identical", 1.0)


def test_blurred_photos_come_first_and_pages_and_labels_are_counted(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "FIRST", 3)
    path = tmp_path / "found.json"
    planted.main(
        [f"--photos={photos}", "--folders=.", f"--work={tmp_path / 'work'}", f"--json={path}",
         "--cases=blurred,pages of text,wrong labels"]
    )  # fmt: skip
    found = json.loads(path.read_text())
    assert list(found) == ["blurred", "pages of text", "wrong labels"]
    assert found["blurred"]["planted"] == 3 and found["blurred"]["precision"] == 100
    assert found["pages of text"]["planted"] == 3 and found["wrong labels"]["planted"] == 1
    assert all(case["right"] <= case["flagged"] for case in found.values())
