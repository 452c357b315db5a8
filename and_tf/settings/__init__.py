"""Settings: frozen dataclasses that define each default, range and help text once."""

from and_tf.settings.choices import refuse_unused, unused
from and_tf.settings.fields import SettingError, Settings, above, at_least, between, setting
from and_tf.settings.values import (
    build,
    defaults,
    differences,
    fields_of,
    flat_values,
    of_result,
    parse,
    parse_all,
)

__all__ = [
    "SettingError",
    "Settings",
    "above",
    "at_least",
    "between",
    "build",
    "defaults",
    "differences",
    "fields_of",
    "flat_values",
    "of_result",
    "parse",
    "parse_all",
    "refuse_unused",
    "setting",
    "unused",
]
