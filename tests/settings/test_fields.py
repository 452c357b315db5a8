import dataclasses
import math

import pytest

from and_tf.settings import SettingError, Settings, above, at_least, between, setting


@dataclasses.dataclass(frozen=True)
class Inner(Settings):
    """Inner settings."""

    rate: float = setting(0.5, "Rate.", between(0, 1, True), may_change=True)


@dataclasses.dataclass(frozen=True)
class Outer(Settings):
    """Outer settings.

    More on them.
    """

    name: str = setting("a", "Name.", choices=("a", "b"))
    count: int | None = setting(None, "Count.", at_least(1))
    sizes: tuple[int, ...] = setting((1, 5), "Sizes.", at_least(1))
    is_on: bool = setting(False, "Switch.", moves_rounding=True)
    inner: Inner = dataclasses.field(default_factory=Inner)


@pytest.mark.parametrize(
    ("accepted", "value", "is_taken"),
    [
        (at_least(1), 1, True), (at_least(1), 0.99, False), (at_least(1), math.inf, False),
        (at_least(1), math.nan, False), (above(0), 0, False), (above(0), 1e-9, True),
        (between(0, 1), 0, True), (between(0, 1), 1, True), (between(0, 1), 1.01, False),
        (between(0, 1, True), 0, False), (between(0, 1, True, True), 1, False),
        (at_least(1), "2", False), (between(0, 1), 10**400, False),
    ],
)  # fmt: skip
def test_a_range_takes_what_its_words_say(accepted, value, is_taken):
    assert (value in accepted) is is_taken


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        (at_least(2), "at least 2"), (above(0), "above 0"), (between(0, 1), "from 0 to 1"),
        (between(0, 2**32 - 1), "from 0 to 4294967295"),
        (between(0, 1, True), "above 0 and at most 1"),
        (between(0, 1, True, True), "above 0 and below 1"),
    ],
)  # fmt: skip
def test_a_range_reads_as_a_sentence(accepted, words):
    assert str(accepted) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "c"}, "name='c' must be one of a, b"),
        ({"count": 0}, "count=0: must be at least 1"),
        ({"sizes": (5, 0)}, r"sizes=\(5, 0\): each value must be at least 1"),
        ({"count": 2**31}, "count=2147483648: must be from 1 to 2147483647"),
        ({"sizes": (1, 10**400)}, "each value must be from 1 to 2147483647"),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(values, words):
    with pytest.raises(SettingError, match=words):
        Outer(**values)


def test_whole_numbers_up_to_what_tensorflow_counts_are_taken():
    assert Outer(count=2**31 - 1).count == 2**31 - 1


def test_nested_settings_are_checked_too():
    with pytest.raises(SettingError, match="rate=0: must be above 0 and at most 1"):
        Outer(inner=Inner(rate=0))


def test_none_means_not_given_and_is_taken():
    assert Outer(count=None).count is None


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outer().name = "b"
