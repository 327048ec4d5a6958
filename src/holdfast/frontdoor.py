"""The one way in: `holdfast COMMAND`, and the ten scripts of a workspace, each of which is one command."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from holdfast.errors import INTERRUPTED, HoldfastError, InputOutputError, UsageError, from_os_error, nearest
from holdfast.workspace import folder_of

COMMANDS = {
    "init": "holdfast.cli.setup:init",
    "demo-data": "holdfast.cli.setup:demo_data",
    "ingest": "holdfast.cli.steps:ingest",
    "train": "holdfast.cli.steps:train",
    "score": "holdfast.cli.steps:score",
    "deploy": "holdfast.cli.steps:deploy",
    "diagnose": "holdfast.cli.steps:diagnose",
    "report": "holdfast.cli.steps:report",
    "serve": "holdfast.web.command:serve",
    "call": "holdfast.cli.steps:call",
    "run": "holdfast.cli.steps:run",
    "assess": "holdfast.cli.steps:assess",
    "status": "holdfast.cli.setup:status",
    "schedule": "holdfast.cli.setup:schedule",
    "schema": "holdfast.cli.schema:schema",
    "summary": "holdfast.cli.data:summary",
    "dataset": "holdfast.cli.data:dataset",
    "quarantine": "holdfast.cli.quarantine:quarantine",
    "lineage": "holdfast.cli.data:lineage",
    "erase": "holdfast.cli.data:erase",
}
"""Every command and where its code is; a command's code is imported only when it is called."""

SCRIPTS = {
    "ingestion": "ingest",
    "training": "train",
    "scoring": "score",
    "deployment": "deploy",
    "diagnostics": "diagnose",
    "reporting": "report",
    "app": "serve",
    "apicalls": "call",
    "fullprocess": "run",
}
"""Script and command; the tenth script, wsgi.py, holds the app for a WSGI server."""

COLLECT_EVERY = 100_000
PIPE_CLOSED = 141


class Commands(click.Group):
    """The commands, in the order of a first acquaintance, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            close = nearest(cmd_name, COMMANDS)
            raise click.UsageError(
                f"no such command '{cmd_name}'." + (f" Did you mean '{close}'?" if close else ""), ctx
            )
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holdfast", prog_name="holdfast")
def commands() -> None:
    """Holdfast finds out which clients are about to leave, and when its own model has gone stale."""


def enter(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command as the whole of this process, which ends with its exit status.

    A command is over before collecting garbage could pay, and taking the interpreter apart after it would cost
    half a second in which nothing is done any more.
    """
    gc.set_threshold(COLLECT_EVERY)
    status = main(arguments)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a reader that has gone, or a stream closed on its account
            stream.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see errors.py)."""
    try:
        status: int = commands.main(arguments, prog_name="holdfast", standalone_mode=False) or 0
    except click.UsageError as error:
        error.show()
        status = UsageError.exit_status
    except click.Abort:
        click.echo("holdfast: interrupted; nothing is lost, run the command again", err=True)
        status = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        status = PIPE_CLOSED
    except OSError as error:
        known = from_os_error(error, "read or write", str(error.filename or "a file"))
        click.echo(f"holdfast: {known}", err=True)
        status = known.exit_status
    except MemoryError:
        click.echo("holdfast: out of memory; the same command goes on from there when it has more", err=True)
        status = InputOutputError.exit_status
    except Exception as error:  # noqa: BLE001 - the front door: a bug is shown whole, with the status that says so
        if _was_no_text(error):
            click.echo("holdfast: a path or a value given is not UTF-8 text: no record could hold it", err=True)
            return UsageError.exit_status
        click.echo(f"holdfast: a bug. Please report what follows.\n{traceback.format_exc()}", err=True)
        status = HoldfastError.exit_status
    return status


def _was_no_text(error: Exception) -> bool:
    """True if bytes that are no UTF-8 came in as an argument, which Python keeps as lone surrogates."""
    return isinstance(error, UnicodeEncodeError) and bool(re.search("[\udc80-\udcff]", error.object))


def run_script(file: str) -> NoReturn:
    """Run the command that the script at `file` stands for; options on its command line are the command's."""
    enter([SCRIPTS[Path(file).stem], "--workspace", str(folder_of(file)), *sys.argv[1:]])
