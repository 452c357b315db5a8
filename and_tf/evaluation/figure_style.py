"""Figures that look the same whatever a user's matplotlibrc says."""

import contextlib
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib import MatplotlibDeprecationWarning, rc_context, rcParams, rcParamsDefault

NONE: Mapping[str, Any] = types.MappingProxyType({})


@contextlib.contextmanager
def figure_style(changes: Mapping[str, Any] = NONE) -> Iterator[None]:
    """A context, or decorator, in which figures have matplotlib's own settings.

    A user's `text.usetex`, fonts or sizes would change a result, or end the program if LaTeX or a
    font is missing. The user's settings are restored afterwards.

    Args:
        changes: settings that differ from matplotlib's own.
    """
    with rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
            names = [name for name in rcParamsDefault if name != "backend"]  # concerns windows
            own: Any = {name: rcParamsDefault[name] for name in names}
            rcParams.update(own)
        further: Any = changes
        rcParams.update(further)
        yield
