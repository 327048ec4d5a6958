"""A process and its children, measured: seconds, seconds of computing, and the most memory that they held together."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command: wall seconds, processor seconds, and the largest sum of resident memory in bytes."""

    seconds: float
    computing: float
    memory: int
    output: str


def run(command: Sequence[str], core: int | None = None) -> Measured:
    """Run a command to its end, on one core if it is named; raises SystemExit when it fails."""
    before = os.times()
    began = time.perf_counter()
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    process = subprocess.Popen([*pinned, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = _Peak(process.pid)
    output, errors = process.communicate()
    seconds = time.perf_counter() - began
    memory = peak.stop()
    after = os.times()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{errors}")
    computing = after.children_user - before.children_user + after.children_system - before.children_system
    return Measured(seconds, computing, memory, output)


class _Peak:
    """Looks at the memory of a process and its children, again and again, until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        """The largest sum that was seen."""
        self._ended.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            self._most = max(self._most, sum(_resident(pid) for pid in _family(self._pid)))


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident(pid: int) -> int:
    """Its memory in bytes; pages that several processes share count in parts (Linux's proportional set size)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):  # it has just ended
        return 0


def summary(runs: Sequence[Measured]) -> dict[str, object]:
    """Medians, range and the largest memory of some runs of the same thing."""
    seconds = [each.seconds for each in runs]
    return {
        "median_seconds": round(statistics.median(seconds), 3),
        "fastest": round(min(seconds), 3),
        "slowest": round(max(seconds), 3),
        "median_processor_seconds": round(statistics.median(each.computing for each in runs), 3),
        "peak_memory_mb": round(max(each.memory for each in runs) / 1e6),
        "runs": len(runs),
    }


def machine() -> dict[str, object]:
    """What it was measured on."""
    return {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 2), "python": platform.python_version()}
