"""Installs the Debian packages that some tests need, when this is root on Debian and they are missing.

    python tests/system_packages.py

Without them those tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PROGRAMS = {"cron": "cron"}
"""Program and the Debian package that holds it."""

SECONDS = 300


def missing() -> dict[str, str]:
    """The programs that are not on this machine, and their packages."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return {program: package for program, package in PROGRAMS.items() if not shutil.which(program, path=search)}


def main() -> None:
    """Install what is missing, or say why it cannot be."""
    wanted = missing()
    if not wanted:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        names = ", ".join(wanted)
        sys.stderr.write(f"NOT INSTALLED: {names} (needs root and apt-get): the tests that use them are skipped\n")
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *wanted.values()]):
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(f"NOT INSTALLED: {' '.join(command)} failed: {done.stderr[-500:]}\n")
            return


if __name__ == "__main__":
    main()
