"""Flags that have no influence: refused where they are typed, left out where a file brings them."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.errors import Argument

logger = logging.getLogger(__name__)


def without_unused(
    flags: Flags, values: Mapping[str, Any], unused: Iterable[str], choice: Argument
) -> dict[str, Any]:
    """The values without unused ones from a card or flagfile, which a warning names.

    A file may serve several choices. Unused flags on the command line stay, and settings refuse
    them.

    Args:
        flags: those that parsed the values.
        values: by flag name.
        unused: names of the flags that have no effect.
        choice: name and value of the flag that makes them unused.
    """
    left_out = [name for name in unused if name in flags.from_files]
    if left_out:
        logger.warning(
            f"%s does not use {', '.join(['%s'] * len(left_out))}, set in a card or flagfile.",
            choice,
            *(Argument(name, values[name]) for name in left_out),
        )
    return {name: value for name, value in values.items() if name not in left_out}
