"""Whether other processes used the machine while a benchmark was running. Linux only."""

import os
import resource
import time
from pathlib import Path

QUIET = 0.05  # fraction of the cores that others may take


class Load:
    """The load by other processes since this object was made."""

    def __init__(self) -> None:
        self._clock, self._busy, self._own = time.monotonic(), _busy(), _own()

    def others(self) -> float:
        """Fraction of the machine's cores that other processes used, 0..1.

        Processes that this one started do not count as others once they have ended.
        """
        elapsed = (time.monotonic() - self._clock) * (os.cpu_count() or 1)
        taken = _busy() - self._busy - (_own() - self._own)
        return min(1.0, max(0.0, taken / elapsed)) if elapsed > 0 else 0.0

    def line(self) -> str:
        """A sentence if the machine was not quiet; empty if it was."""
        others = self.others()
        if others <= QUIET:
            return ""
        return (
            f"The machine was not quiet: other processes took {100 * others:.0f} % of its cores, "
            "so these times say little."
        )


def _busy() -> float:
    """Seconds that all cores were busy, including those taken by other virtual machines."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
