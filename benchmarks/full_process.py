"""How long the full process takes on ten thousand clients, and how long a run takes that finds nothing new.

    python benchmarks/full_process.py [--rows 10000] [--repeats 7]

Whole processes, start-up included, on a warm disk; each full process starts from a fresh copy of the same workspace,
in which the practice model is deployed and the later files of the demo company wait. The full process does not ask the
package index; what `holdfast diagnose`, which does, costs is measured beside it. JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOLDFAST = (sys.executable, "-m", "holdfast")


def holdfast(*arguments: str) -> float:
    """Seconds that one command took."""
    began = time.perf_counter()
    done = subprocess.run([*HOLDFAST, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise SystemExit(f"holdfast {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return seconds


def prepare(folder: Path, rows: int) -> None:
    """A workspace whose practice model is deployed and whose configuration has been switched to the later files."""
    holdfast("init", str(folder), "--empty")
    for name in ("practicedata", "sourcedata", "testdata"):
        (folder / name).rmdir()
    holdfast("demo-data", str(folder), "--rows", str(rows))
    holdfast("run", "--workspace", str(folder))
    config = folder / "config.json"
    text = config.read_text()
    config.write_text(text.replace("practicedata", "sourcedata").replace("practicemodels", "models"))


def summary(seconds: list[float]) -> dict[str, object]:
    """Median and range."""
    return {
        "median_seconds": round(statistics.median(seconds), 3),
        "fastest": round(min(seconds), 3),
        "slowest": round(max(seconds), 3),
        "runs": len(seconds),
    }


def measure(rows: int, repeats: int) -> dict[str, object]:
    """Every figure of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="holdfast-benchmark-") as name:
        origin = Path(name) / "origin"
        prepare(origin, rows)
        full, quiet, python = [], [], []
        for number in range(repeats):
            copy = Path(name) / f"copy{number}"
            shutil.copytree(origin, copy, symlinks=True)
            full.append(holdfast("run", "--workspace", str(copy)))
            time.sleep(2.1)  # a delivery is trusted to be settled after two seconds
            holdfast("run", "--workspace", str(copy))
            quiet += [holdfast("run", "--workspace", str(copy)) for _ in range(3)]
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            python.append(time.perf_counter() - began)
        diagnose = [holdfast("diagnose", "--workspace", str(origin)) for _ in range(3)]
    return {
        "benchmark": "full_process",
        "rows": rows,
        "full_process": summary(full),
        "nothing_new": summary(quiet),
        "bare_python": summary(python),
        "diagnose_asking_the_package_index": summary(diagnose),
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.rows, arguments.repeats), indent=1))


if __name__ == "__main__":
    main()
