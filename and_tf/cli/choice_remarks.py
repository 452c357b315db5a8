"""What `--help` says of a flag that belongs to some choices alone, or has defaults of their own."""

from collections.abc import Mapping
from typing import Any

from and_tf.settings import Settings, defaults
from and_tf.settings.choices import Choices, choices_with


def choice_remarks(
    choice: str,
    choices: Choices,
    whole: type[Settings],
    other_defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, str]:
    """Remarks for `--help` by flag name, such as `with --method=deepcluster: constant`.

    Args:
        choice: the flag that chooses.
        choices: settings by the value of that flag.
        whole: all settings, of which the chosen ones are a part.
        other_defaults: further defaults by name, for each value of that flag that sets some.
    """
    of_all = defaults(whole)
    of_each = {
        key: {**defaults(cls), **(other_defaults or {}).get(key, {})}
        for key, cls in choices.items()
    }
    remarks = {}
    for name in dict.fromkeys(name for own in of_each.values() for name in own):
        usual = of_all.get(name, next(own[name] for own in of_each.values() if name in own))
        parts = [
            f"with {_flag(choice, keys)}: {value}"
            for value, keys in _keys_by_value(name, of_each).items()
            if value != usual
        ]
        if name not in of_all:
            parts.append(f"only with {_flag(choice, choices_with(name, choices))}")
        if parts:
            remarks[name] = "; ".join(parts)
    return remarks


def _keys_by_value(name: str, of_each: Mapping[str, Mapping[str, Any]]) -> dict[Any, list[str]]:
    keys: dict[Any, list[str]] = {}
    for key, own in of_each.items():
        if name in own:
            keys.setdefault(own[name], []).append(key)
    return keys


def _flag(choice: str, keys: list[str]) -> str:
    return f"--{choice}={'|'.join(keys)}"
