"""The machine that this process runs on."""

from __future__ import annotations

import os


def cores() -> int:
    """How many cores this process may use, at least 1; on Linux that can be fewer than the machine has.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
