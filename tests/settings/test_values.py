import dataclasses

import pytest

from and_tf.settings import (
    SettingError,
    Settings,
    at_least,
    build,
    differences,
    fields_of,
    flat_values,
    parse,
    parse_all,
    setting,
)


@dataclasses.dataclass(frozen=True)
class Inner(Settings):
    """Inner settings."""

    rate: float = setting(0.5, "Rate.", may_change=True)


@dataclasses.dataclass(frozen=True)
class OtherInner(Inner):
    """Other inner settings."""

    depth: int = setting(1, "Depth.")


@dataclasses.dataclass(frozen=True)
class Outer(Settings):
    """Outer settings.

    More on them.
    """

    name: str = setting("a", "Name.", choices=("a", "b"))
    count: int | None = setting(None, "Count.", at_least(1))
    sizes: tuple[int, ...] | None = setting(None, "Sizes.", at_least(1))
    is_on: bool = setting(False, "Switch.", moves_rounding=True)
    inner: Inner = dataclasses.field(default_factory=Inner)


FIELDS = {field.name: field for field in fields_of(Outer)}


def test_nested_fields_stand_in_their_place_with_the_group_of_their_class():
    assert [(field.name, field.group) for field in fields_of(Outer)] == [
        ("name", "Outer settings"), ("count", "Outer settings"), ("sizes", "Outer settings"),
        ("is_on", "Outer settings"), ("rate", "Inner settings"),
    ]  # fmt: skip


def test_fields_of_an_instance_are_those_of_what_is_nested_in_it():
    names = [field.name for field in fields_of(Outer(inner=OtherInner()))]
    assert names[-2:] == ["rate", "depth"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "b", "b"), ("name", "", ""), ("count", "3", 3), ("count", "", None),
        ("sizes", "1,5,5, 20", (1, 5, 20)), ("is_on", "True", True), ("is_on", "false", False),
        ("is_on", "1", True), ("rate", "1e-3", 0.001),
    ],
)  # fmt: skip
def test_a_text_gives_the_value_that_it_means(name, text, value):
    found = parse(FIELDS[name], text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("count", "x", "count='x' must be a whole number"),
        ("count", "1.5", "must be a whole number"),
        ("sizes", "1,x", "must be whole numbers separated by commas"),
        ("rate", "fast", "must be a number"),
        ("is_on", "maybe", "must be true or false"),
    ],
)
def test_a_text_that_means_no_value_is_refused(name, text, words):
    with pytest.raises(SettingError, match=words):
        parse(FIELDS[name], text)


def test_values_build_the_settings_that_they_came_from():
    settings = Outer(name="b", count=4, sizes=(2, 3), is_on=True, inner=Inner(rate=0.25))
    values = flat_values(settings)
    assert values == {"name": "b", "count": 4, "sizes": (2, 3), "is_on": True, "rate": 0.25}
    assert build(Outer, values) == settings


def test_other_names_are_ignored_and_missing_ones_take_their_default():
    assert build(Outer, {"rate": 0.25, "colour": "red"}) == Outer(inner=Inner(rate=0.25))


def test_texts_of_other_names_are_left_out():
    assert parse_all([Outer], {"rate": "0.25", "colour": "red"}) == {"rate": 0.25}


def test_differences_leave_out_what_may_change():
    old, new = Outer(), Outer(name="b", is_on=True, inner=Inner(rate=0.25))
    assert differences(old, new) == ["name"]


def test_deterministic_runs_mind_the_last_digits():
    assert differences(Outer(), Outer(is_on=True), is_deterministic=True) == ["is_on"]


def test_a_setting_that_only_one_side_has_differs():
    assert differences(Outer(), Outer(inner=OtherInner())) == ["depth"]
