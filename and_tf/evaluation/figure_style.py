"""Figures that look alike whatever the matplotlibrc of a user says."""

import contextlib
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib import MatplotlibDeprecationWarning, rc_context, rcParams, rcParamsDefault

NONE: Mapping[str, Any] = types.MappingProxyType({})


@contextlib.contextmanager
def figure_style(changes: Mapping[str, Any] = NONE) -> Iterator[None]:
    """Within it, and in a function that it decorates, figures have matplotlib's own settings.

    A user's `text.usetex`, fonts or sizes would change a result, or end the program where LaTeX or
    a font is missing. The user's settings are back afterwards.

    Args:
        changes: settings that differ from matplotlib's own.
    """
    with rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MatplotlibDeprecationWarning)
            names = [name for name in rcParamsDefault if name != "backend"]  # that of windows
            own: Any = {name: rcParamsDefault[name] for name in names}
            rcParams.update(own)
        further: Any = changes
        rcParams.update(further)
        yield
