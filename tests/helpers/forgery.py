"""What the tests of forged files share: how many cases there are, and what counts as an answer.

Each case changes what was written, reads it as the programs do, and takes any exception but a
`UserError` for a fault. `AND_TF_FORGED=20000` tries more cases.
"""

import collections
import os

from hypothesis import HealthCheck, settings

from and_tf.errors import UserError

CASES = int(os.environ.get("AND_TF_FORGED", "2000"))  # of all kinds together
TRIED = collections.Counter()  # refused and read, of each kind


def cases(share):
    """The settings of a kind that has this share, in percent, of all cases."""
    return settings(
        max_examples=max(1, CASES * share // 100),
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def tried(kind, read):
    """Reads what was forged, and counts how it ended."""
    try:
        read()
    except UserError as error:
        assert str(error).strip() and "\n" not in str(error)
        TRIED[f"{kind}, refused"] += 1
    else:
        TRIED[f"{kind}, read"] += 1


def check_both_ends(kinds):
    """A forger who only breaks files would find nothing that is believed."""
    for kind in kinds:
        assert TRIED[f"{kind}, refused"] > CASES // 200, TRIED
        assert TRIED[f"{kind}, read"] > CASES // 400, TRIED
