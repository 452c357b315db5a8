"""Settings that depend on a choice by name: those of another choice have no effect."""

from collections.abc import Iterable, Mapping
from typing import Any

from and_tf.errors import Argument
from and_tf.settings.fields import SettingError, Settings
from and_tf.settings.values import fields_of

Choices = Mapping[str, type[Settings]]


def choices_with(name: str, choices: Choices) -> list[str]:
    """The choices that have a setting of this name."""
    return [key for key, cls in choices.items() if any(f.name == name for f in fields_of(cls))]


def unused(
    names: Iterable[str], whole: type[Settings], chosen: str, choices: Choices
) -> dict[str, list[str]]:
    """Settings that have no effect because they belong to choices other than the chosen one.

    Args:
        names: of settings.
        whole: all settings, of which the chosen ones are a part.
        chosen: a key of `choices`.
        choices: settings by the name with which a user chooses them.

    Returns:
        For each such setting, the choices that have it. Unknown names are left out.
    """
    used = {field.name for cls in (whole, choices[chosen]) for field in fields_of(cls)}
    found = {name: choices_with(name, choices) for name in names if name not in used}
    return {name: keys for name, keys in found.items() if keys}


def refuse_unused(
    values: Mapping[str, Any], whole: type[Settings], choice: Argument, choices: Choices
) -> None:
    """Refuses values that would have no effect.

    Args:
        values: by the names of their settings.
        whole: as in `unused`.
        choice: name and value of the setting that makes the choice.
        choices: as in `unused`.

    Raises:
        SettingError: if a setting belongs to another choice; names the choices that have it.
    """
    for name, keys in unused(values, whole, choice.value, choices).items():
        others: list[Any] = []
        for key in keys:
            separator = " or " if key == keys[-1] else ", "
            others += [separator] * bool(others) + [Argument(choice.name, key)]
        raise SettingError(
            Argument(name, values[name]), " is for ", *others, ", and not for ", choice,
            ": leave it out.",
        )  # fmt: skip
