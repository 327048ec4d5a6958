"""What every command shares: the workspace, the form of the output, progress, and the exit status."""

from __future__ import annotations

import functools
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.errors import DONE, HoldfastError, UsageError, excerpt, printable
from holdfast.records import to_json
from holdfast.session import exit_status_of
from holdfast.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

Body = Callable[..., None]
BAR_WIDTH = 24
MEASURABLE_SECONDS = 0.5
"""Before that, rows a second say nothing."""

NO_TEXT = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes in an argument that are no UTF-8."""


class GivenPath(click.Path):
    """A path on the command line, which the shell did not make of a variable that is not set."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; a usage error where it is empty."""
        if value == "":
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)


class GivenFile(GivenPath):
    """A file that is only read: its name may be any that a file can have, and is shown as `name_of` shows it."""


FILE, PLACE = GivenFile(), GivenPath()
"""What is read, and what is worked on or written."""


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


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done, how far it is, and when it began. `total` is an estimate; None when nothing is counted."""

    what: str
    began: float
    done: int = 0
    total: int | None = None

    def next(self, what: str, done: int, total: int | None, now: float) -> Stage:
        """The stage after one more report: this one, further on, or another one, which begins now."""
        goes_on = self.what.split()[:1] == what.split()[:1] and done >= self.done
        return Stage(what, self.began if goes_on else now, done, total)

    def text(self, now: float) -> str:
        """The stage in words: rows done, of how many, and rows a second; the time where no rows are counted.

        >>> Stage("reading march.csv", 100.0, 1_250_000, 10_000_000).text(102.0)
        'reading march.csv  1,250,000 of about 10,000,000 rows  625,000 rows/s'
        >>> Stage("training", 100.0).text(175.5)
        'training  1:15'
        """
        seconds = now - self.began
        what = printable(self.what)
        if not self.done:
            return f"{what}  {int(seconds // 60)}:{int(seconds % 60):02d}"
        total = f" of about {self.total:,}" if self.total is not None and self.total > self.done else ""
        pace = f"  {self.done / seconds:,.0f} rows/s" if seconds >= MEASURABLE_SECONDS else ""
        return f"{what}  {self.done:,}{total} rows{pace}"


@dataclass(slots=True)
class ProgressBar:
    """A progress bar on standard error, drawn only on a terminal and only once there is something to show."""

    shown: bool
    _stage: Stage | None = None
    _live: Live | None = None

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Rows done so far, of how many."""
        if not self.shown:
            return
        now = time.monotonic()
        self._stage = self._stage.next(what, done, total, now) if self._stage else Stage(what, now, done, total)
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), transient=True, get_renderable=self.drawn)
            self._live.start()

    def drawn(self) -> RenderableType:
        """The line as it stands now: a bar where the end is known and there is room, and the stage in words."""
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        if self._stage is None or self._live is None:
            return ""
        words = Text(self._stage.text(time.monotonic()), no_wrap=True, overflow="ellipsis")
        if not self._stage.total or words.cell_len + len("  ") + BAR_WIDTH > self._live.console.width:
            return words
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(Bar(total=self._stage.total, completed=self._stage.done, width=BAR_WIDTH), words)
        return line

    def stop(self) -> None:
        """Take the bar off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def command(name: str) -> Callable[[Body], click.Command]:
    """A click command `name` with the options that all commands have; its body gets the Invocation first."""

    def decorate(body: Body) -> click.Command:
        @click.option(
            "--workspace",
            "folder",
            type=PLACE,
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
                refuse_other_text(click.get_current_context().command, {"folder": folder.absolute(), **options})
                body(invocation, **options)
            except HoldfastError as error:
                invocation.fail(error)
            finally:
                invocation.progress.stop()
            click.get_current_context().exit(invocation.exit_status)

        return click.command(name, context_settings={"help_option_names": ["-h", "--help"]})(run)

    return decorate


def refuse_other_text(of: click.Command, given: Mapping[str, Any]) -> None:
    """Raises UsageError for an argument of a command that is not UTF-8, but for files that are only read.

    No record could hold it, no engine could open it, and no client is called so.
    """
    for parameter in of.params:
        value = given.get(parameter.name or "")
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, str | Path) and NO_TEXT.search(str(each)) and parameter.type is not FILE:
                name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
                raise UsageError(f"{name} is not UTF-8 text: '{excerpt(str(each))}'")
