"""What every command shares: the workspace, the form of the output, progress, and the exit status."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.errors import DONE, HoldfastError
from holdfast.records import to_json
from holdfast.session import exit_status_of
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Body = Callable[..., None]


class Invocation:
    """One call of a command."""

    def __init__(self, folder: Path, *, as_json: bool, quiet: bool) -> None:
        self.folder = folder
        self.as_json = as_json
        self.quiet = quiet
        self.exit_status = DONE
        self.progress = ProgressBar(shown=sys.stderr.isatty() and not (quiet or as_json))

    @property
    def workspace(self) -> Workspace:
        """The workspace that the command works on."""
        return Workspace.open(self.folder)

    def show(self, record: Any, *, limit: int | None = None) -> None:
        """Print a record, as JSON or for people, and take the exit status from it. `limit`: rows of a list."""
        self.progress.stop()
        self.exit_status = exit_status_of(record)
        if self.as_json:
            click.echo(json.dumps(to_json(record), indent=1))
        elif not self.quiet:
            from holdfast.render.text import print_record

            print_record(record, limit)

    def fail(self, error: HoldfastError) -> None:
        """Print an error and take the exit status from it."""
        self.progress.stop()
        self.exit_status = error.exit_status
        if self.as_json:
            click.echo(json.dumps({"error": error.record()}, indent=1))
        else:
            click.echo(f"holdfast: {error}", err=True)


@dataclass(slots=True)
class ProgressBar:
    """A progress bar on standard error, drawn only on a terminal and only once there is something to show."""

    shown: bool
    _bar: Progress | None = None
    _task: TaskID | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Rows done so far, of how many."""
        if not self.shown:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(what, total=None)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, description=what, completed=done, total=total)

    def stop(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def command(name: str) -> Callable[[Body], click.Command]:
    """A click command `name` with the options that all commands have; its body gets the Invocation first."""

    def decorate(body: Body) -> click.Command:
        @click.option(
            "--workspace",
            "folder",
            type=click.Path(path_type=Path),
            default=Path(),
            metavar="DIR",
            help="The workspace; default: this folder.",
        )
        @click.option("--json", "as_json", is_flag=True, help="Print the record as JSON and nothing else.")
        @click.option("--quiet", is_flag=True, help="Print nothing but errors.")
        @functools.wraps(body)
        def run(*, folder: Path, as_json: bool, quiet: bool, **options: Any) -> None:
            invocation = Invocation(folder, as_json=as_json, quiet=quiet)
            try:
                body(invocation, **options)
            except HoldfastError as error:
                invocation.fail(error)
            finally:
                invocation.progress.stop()
            click.get_current_context().exit(invocation.exit_status)

        return click.command(name, context_settings={"help_option_names": ["-h", "--help"]})(run)

    return decorate
