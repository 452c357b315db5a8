"""What of a run is held against a published result, and what is said where they differ."""

import types
from pathlib import Path

import pytest
from helpers import programs

from and_tf.report.comparison import comparison_of
from and_tf.report.published import KNN, tables
from and_tf.settings import flat_values

CIFAR = (50_000, 10_000)
CONFIGS = Path(__file__).parents[2] / "configs"


def compared(config, *flags, encoder="alexnet", epochs=1000, images=CIFAR):
    """The comparison of a finished run of a config, whose encoder has this name."""
    settings = programs.read_settings([f"--flagfile={CONFIGS / config}.cfg", *flags])
    context = types.SimpleNamespace(
        settings=settings,
        record=types.SimpleNamespace(metadata={"images": images[0]}, epochs_done=epochs),
        held_out=range(images[1]),
        encoder=types.SimpleNamespace(name=encoder, output_shape=(None, 128)),
        image_size=settings.augmentation.image_size,
    )
    return comparison_of(context)


@pytest.mark.parametrize(
    ("config", "images"),
    [("cifar10", CIFAR), ("cifar100", CIFAR), ("svhn", (73_257, 26_032))],
)
def test_the_authors_recipe_is_the_setting_of_the_published_result(config, images):
    comparison = compared(config, images=images)
    assert comparison.reasons == [] and comparison.unknown == ""
    assert comparison.describe_knn().endswith(" %, in the setting of this run.")
    assert ", weighted kNN on fc: " in comparison.describe_knn()


@pytest.mark.parametrize(
    ("config", "encoder", "result", "images"),
    [
        ("imagenet", "alexnet", "31.3", (1_281_167, 50_000)),
        ("cub200", "resnet18", "14.4", (5_994, 5_794)),
        ("dogs", "resnet18", "32.3", (12_000, 8_580)),
    ],
)
def test_the_cards_of_photos_are_held_against_the_paper(config, encoder, result, images):
    comparison = compared(config, encoder=encoder, images=images)
    assert result in comparison.describe_knn()


@pytest.mark.parametrize(
    ("flags", "reasons"),
    [
        (["--views=2"], ["with 2 views"]),
        (["--views=2", "--group_weight=1"], ["with 2 views", "with group weight 1"]),
        (["--entropy_weight=0.2"], ["with entropy weight 0.2"]),
        (["--anchors=random"], ["with random anchors"]),
        (["--flip"], ["flip is on, not off"]),
        (["--neighbourhood_size=5"], ["neighbourhood_size is 5, not 1"]),
        (["--learning_rate=0.1"], ["learning_rate is 0.1, not 0.03"]),
        (["--lr_policy=cosine"], ["lr_policy is cosine, not step"]),
        (["--crop_min_area=0.4", "--color_jitter=0"],
         ["crop_min_area is 0.4, not 0.2", "color_jitter is 0, not 0.4"]),
        (["--rounds=0", "--epochs_per_round=1000"], ["rounds is 0, not 4"]),
    ],
)  # fmt: skip
def test_what_differs_from_the_recipe_is_a_reason(flags, reasons):
    comparison = compared("cifar10", *flags)
    assert comparison.reasons == reasons
    assert "in the setting of this run" not in comparison.describe_knn()
    assert f"74.8 %, not comparable: {'; '.join(reasons)}." in comparison.describe_knn()


def test_options_are_reasons_where_the_recipe_is_not_recorded():
    comparison = compared("cifar10", "--method=instance", "--views=2")
    assert comparison.reasons == ["with 2 views"]


@pytest.mark.parametrize("network", ["alexnet", "resnet18"])
def test_a_split_encoder_is_compared_as_the_network_that_it_splits(network):
    flags = ["--method=split_brain", f"--encoder={network}"]
    comparison = compared("cifar10_split_brain", *flags, encoder=f"split_{network}")
    assert comparison.table.setting.encoder == network
    assert comparison.reasons == []
    assert comparison.result(KNN) == (11.7 if network == "alexnet" else None)


def test_a_network_of_the_weights_has_their_name():
    flags = ["--encoder=init", "--init=weights.keras", "--embedding_dim=128"]
    comparison = compared("cifar10", *flags, encoder="efficientnet")
    assert "the encoder is efficientnet, not alexnet" in comparison.reasons


@pytest.mark.parametrize(
    ("config", "result"),
    [
        ("cifar10_supervised", "91.9"),
        ("cifar10_deepcluster", "62.3"),
        ("cifar10_split_brain", "11.7"),
    ],
)
def test_epochs_that_are_not_recorded_are_no_reason_and_are_told(config, result):
    comparison = compared(config, epochs=200)
    assert comparison.reasons == []
    assert comparison.unknown == "its number of epochs and recipe are not recorded here"
    said = comparison.describe_knn()
    assert f"{result} %" in said and comparison.unknown in said
    assert "1,000" not in said and "in the setting of this run" not in said


def test_the_epochs_of_and_are_a_reason():
    assert compared("cifar10", epochs=200).reasons == ["200 epochs, not 1,000"]


def test_every_name_of_a_recipe_is_a_setting():
    names = flat_values(programs.read_settings([])).keys()
    recipes = [row.recipe for table in tables() for row in table.rows.values()]
    assert any(recipes) and all(recipe.keys() <= names for recipe in recipes)
