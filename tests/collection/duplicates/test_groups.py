"""Groups of near-duplicates of generated photos, with an encoder that knows nothing."""

import csv

import numpy as np
import pytest
from helpers.edited_photos import EDITS, cut, scene, write_scenes

from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.duplicates import groups
from and_tf.collection.duplicates.groups import find_duplicates
from and_tf.collection.duplicates.listing import write_duplicates
from and_tf.collection.pictures import read_pictures
from and_tf.data.sources.folder import open_folder


def collection_of(folder, embeddings=None):
    """A folder with given embeddings, or random ones."""
    source = open_folder(folder)
    if embeddings is None:
        embeddings = np.random.default_rng(0).normal(size=(len(source), 8)).astype("float32")
    return Collection(source, embeddings, *search_neighbours(embeddings, len(source) - 1))


def groups_by_name(folder, **options):
    """Sets of names; the names to keep; what was found."""
    collection = collection_of(folder, **options)
    found = find_duplicates(collection, read_pictures(collection.source))
    names = collection.names
    return [{names[row] for row in g.members} for g in found.groups], found, names


@pytest.fixture
def folder(tmp_path):
    scenes = write_scenes(tmp_path / "photos", 20)
    for number, image in enumerate(scenes[:3]):
        for name, edit in EDITS.items():
            if name not in ("cut", "turned_5"):  # these need an encoder
                edit(image).save(tmp_path / "photos" / f"copy_{number}_{name}.png")
        image.save(tmp_path / "photos" / f"copy_{number}_pixels.bmp")
        image.save(tmp_path / "photos" / f"copy_{number}_poor.jpg", quality=30)
        (tmp_path / "photos" / f"copy_{number}_bytes.png").write_bytes(
            (tmp_path / "photos" / f"scene_{number:02}.png").read_bytes()
        )
    return tmp_path / "photos"


def test_copies_are_found_by_bytes_and_hash_whatever_the_encoder(folder):
    grouped, found, names = groups_by_name(folder)
    expected = [
        {f"scene_{n:02}.png"} | {name for name in names if name.startswith(f"copy_{n}_")}
        for n in range(3)
    ]
    assert sorted(map(sorted, grouped)) == sorted(map(sorted, expected))
    assert {group.reason for group in found.groups} == {"perceptual hash"}
    reasons = {(names[p.first], names[p.second]): p.reason for p in found.pairs}
    assert reasons["copy_0_bytes.png", "scene_00.png"] == "identical"
    assert reasons["copy_0_bytes.png", "copy_0_pixels.bmp"] == "identical"
    numbers = found.group_numbers(len(names))
    assert (numbers >= 0).sum() == sum(map(len, grouped)) and numbers.max() == 2


def test_the_largest_then_the_sharpest_then_the_biggest_file_is_kept(tmp_path):
    image = scene(0)
    (tmp_path / "photos").mkdir()
    image.save(tmp_path / "photos" / "b.png")
    image.save(tmp_path / "photos" / "a.bmp")  # the same pixels, a larger file
    EDITS["half"](image).save(tmp_path / "photos" / "c.bmp")
    (tmp_path / "photos" / "d.bmp").write_bytes((tmp_path / "photos" / "a.bmp").read_bytes())
    grouped, found, names = groups_by_name(tmp_path / "photos")
    assert grouped == [{"a.bmp", "b.png", "c.bmp", "d.bmp"}]
    assert names[found.groups[0].keep] == "a.bmp"  # the first name of two equal files


def test_what_the_encoder_proposes_is_decided_by_pixels(tmp_path):
    image = scene(0)
    write_scenes(tmp_path / "photos", 12)
    cut(image, 0.75, (0, 1)).save(tmp_path / "photos" / "cut.png")
    embeddings = np.random.default_rng(0).normal(size=(13, 8)).astype("float32")
    embeddings[0] = embeddings[1]  # cut.png and scene_00.png
    embeddings[5] = embeddings[6] + 0.01  # two different scenes
    grouped, found, _ = groups_by_name(tmp_path / "photos", embeddings=embeddings)
    assert grouped == [{"cut.png", "scene_00.png"}] and found.groups[0].reason == "encoder"
    assert 0.3 < found.threshold < 1


def test_a_given_threshold_is_taken_as_it_is_and_warned_about(tmp_path):
    write_scenes(tmp_path / "photos", 12)
    embeddings = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    embeddings[5] = embeddings[6]
    collection = collection_of(tmp_path / "photos", embeddings)
    found = find_duplicates(collection, read_pictures(collection.source), threshold=0.99)
    assert [group.members for group in found.groups] == [(5, 6)]
    assert found.warning.startswith("1 of the pairs above the threshold show different pictures")


def test_a_chain_does_not_join_strangers(tmp_path):
    write_scenes(tmp_path / "photos", 3)
    angles = np.radians([0, 8, 16])  # 0 and 2 are each near 1, and not near each other
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    collection = collection_of(tmp_path / "photos", embeddings)
    pictures = read_pictures(collection.source)
    found = find_duplicates(collection, pictures, threshold=float(np.cos(np.radians(10))))
    assert [(p.first, p.second) for p in found.pairs] == [(0, 1), (1, 2)]
    assert [group.members for group in found.groups] == [(0, 1)]


@pytest.mark.parametrize("best", [0, 1, 2])
def test_two_copies_of_the_kept_image_that_do_not_agree_are_not_in_one_group(tmp_path, best):
    for number, image in enumerate(write_scenes(tmp_path / "photos", 3)):
        side = 200 if number == best else 100  # the largest is kept
        image.resize((side, side)).save(tmp_path / "photos" / f"scene_{number:02}.png")
    angles = np.radians([0, 8, 16])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    collection = collection_of(tmp_path / "photos", embeddings)
    pictures = read_pictures(collection.source)
    found = find_duplicates(collection, pictures, threshold=float(np.cos(np.radians(10))))
    (group,) = found.groups
    assert len(group.members) == 2 and 1 in group.members
    assert group.keep == best


def test_many_equal_images_are_not_compared_pair_by_pair(tmp_path, monkeypatch):
    write_scenes(tmp_path / "photos", 2)
    for number in range(30):
        (tmp_path / "photos" / f"copy_{number}.png").write_bytes(
            (tmp_path / "photos" / "scene_00.png").read_bytes()
        )
    compared = []
    plain = groups.agrees
    monkeypatch.setattr(
        groups, "agrees", lambda p, pairs: compared.extend(pairs) or plain(p, pairs)
    )
    found, _, _ = groups_by_name(tmp_path / "photos")
    assert list(map(len, found)) == [31] and len(compared) < 40


def test_the_list_has_one_line_for_each_image_of_a_group(folder, tmp_path):
    collection = collection_of(folder)
    pictures = read_pictures(collection.source)
    found = find_duplicates(collection, pictures)
    path = write_duplicates(tmp_path / "list.csv", found.groups, collection, pictures)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(group.members) for group in found.groups)
    first = [row for row in rows if row["group"] == "0"]
    assert [row["keep"] for row in first] == ["yes"] + ["no"] * (len(first) - 1)
    assert first[0]["similarity"] == "1.0000" and first[0]["width"] in ("120", "160")


def test_an_image_alone_has_no_duplicates(tmp_path):
    write_scenes(tmp_path / "photos", 1)
    grouped, found, _ = groups_by_name(tmp_path / "photos")
    assert grouped == [] and found.pairs == [] and found.warning == ""
