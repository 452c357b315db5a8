"""Shared by all benchmarks: interleaved timing, the machine's description, the table, the JSON."""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from benchmarks.quiet import Load
from benchmarks.tables import Rows, markdown

LOAD = Load()  # since the start of the program


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the flags of all benchmarks: `--repeats` and `--json`."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="of each case; medians are shown")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    return parser


def interleaved(cases: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Times cases in turns, so that a slow minute of the machine affects all of them.

    Each case is called once before, which is not counted, to compile and to fill caches. A call
    must wait for its result.

    Returns:
        {case: list of `repeats` seconds}, in the order in which they were measured.
    """
    for case in cases.values():
        case()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in seconds.items()}


def peak_mb(case: Callable[[], object]) -> float:
    """Largest resident memory of this process during a call, in MB (10^6 bytes). Linux only.

    Memory that was freed before but kept by the allocator counts, too.
    """
    Path("/proc/self/clear_refs").write_text("5")  # man 5 proc: sets VmHWM to VmRSS
    case()
    return _status_mb("VmHWM")


def resident_mb() -> float:
    """Resident memory of this process, in MB (10^6 bytes). Linux only."""
    gc.collect()
    return _status_mb("VmRSS")


def _status_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6


def machine() -> str:
    """Processor, cores that this process may use, memory, and versions of the libraries."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for package in ("tensorflow", "tensorflow-cpu", "keras", "torch", "numpy"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB; {', '.join(versions)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def show(
    title: str,
    rows: Rows,
    json_path: Path | None = None,
    is_timed: bool = True,
    **metadata: object,
) -> None:
    """Prints rows as a Markdown table under the machine's description, and writes the JSON.

    Args:
        title: what was measured, one line.
        rows: a dict per line, all with the same keys; floats have three significant digits.
        json_path: file for machine, metadata and rows, or None.
        is_timed: whether rows hold times; then a line is added if other processes were busy.
        metadata: further content of the JSON, such as individual timings.
    """
    print(f"{title}\n{machine()}\n\n{markdown(rows)}")
    if is_timed and (line := LOAD.line()):
        print(f"\n{line}")
    if json_path:
        record = {"title": title, "machine": machine(), "rows": list(rows)} | metadata
        record["taken_by_others"] = LOAD.others()
        json_path.write_text(json.dumps(record, indent=2) + "\n")
