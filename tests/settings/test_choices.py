"""Settings of another choice than the chosen one: found, and refused."""

import dataclasses

import pytest

from and_tf.errors import Argument
from and_tf.settings import SettingError, Settings, refuse_unused, setting, unused


@dataclasses.dataclass(frozen=True)
class Whole(Settings):
    """Whole."""

    rate: float = setting(0.1, "Rate.")


@dataclasses.dataclass(frozen=True)
class Apple(Settings):
    """Apple."""

    size: int = setting(1, "Size.")
    rate: float = setting(0.2, "Its own rate.")


@dataclasses.dataclass(frozen=True)
class Pear(Settings):
    """Pear."""

    size: int = setting(1, "Size.")
    shape: str = setting("round", "Shape.")


@dataclasses.dataclass(frozen=True)
class Nut(Settings):
    """Nut."""


FRUITS = {"apple": Apple, "pear": Pear, "nut": Nut}


@pytest.mark.parametrize(
    ("chosen", "names", "expected"),
    [
        ("apple", ["size", "rate"], {}),
        ("apple", ["shape"], {"shape": ["pear"]}),
        ("nut", ["size", "shape"], {"size": ["apple", "pear"], "shape": ["pear"]}),
        ("nut", ["rate"], {}),  # the whole has one, too
        ("nut", ["colour"], {}),  # nobody knows it
    ],
)
def test_settings_of_other_choices_are_found_with_these(chosen, names, expected):
    assert unused(names, Whole, chosen, FRUITS) == expected


def test_a_value_without_influence_is_refused_with_the_choices_that_it_is_for():
    values = {"rate": 0.3, "size": 3}
    refuse_unused(values, Whole, Argument("fruit", "pear"), FRUITS)
    expected = "size=3 is for fruit='apple' or fruit='pear', and not for fruit='nut': leave it out"
    with pytest.raises(SettingError, match=expected):
        refuse_unused(values, Whole, Argument("fruit", "nut"), FRUITS)
