"""The commands around the steps: a workspace, the demo company, status and schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.errors import UsageError
from holdfast.invocation import FILE, PLACE, Invocation, command


class WholeNumber(click.ParamType[int]):
    """A whole number, also written like 1e6."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error for anything else."""
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not number.is_integer():
            self.fail(f"{value!r} is not a whole number", param, ctx)
        return int(number)


WHOLE = WholeNumber()


@command("init")
@click.argument("directory", type=PLACE)
@click.option("--demo", is_flag=True, help="With the demo company's ten thousand clients.")
@click.option("--empty", is_flag=True, help="With empty data folders (the default).")
@click.option(
    "--from",
    "table",
    type=FILE,
    help="With a copy of this CSV, Parquet or Excel file, its schema found by looking.",
)
@click.option("--client", help="With --from: the column that identifies the client.")
@click.option("--target", help="With --from: the column that says whether the client exited.")
@click.option("--exited", metavar="VALUE", help="With --from: the target's value that means that the client exited.")
@click.option("--time", help="With --from: the column that dates a row.")
@click.option("--value", help="With --from: the column that says what a client is worth.")
def init(
    invocation: Invocation,
    directory: Path,
    *,
    demo: bool,
    empty: bool,
    table: Path | None,
    **roles: str | None,
) -> None:
    """Make a workspace in DIRECTORY: folders, config.json and the ten scripts. Overwrites nothing.

    Example: holdfast init demo --demo
    """
    from holdfast.sources.inference import Roles
    from holdfast.steps.initialisation import init_demo, init_empty, init_from

    if demo + empty + (table is not None) > 1:
        raise UsageError("choose one of --demo, --empty and --from")
    if table is None and any(each is not None for each in roles.values()):
        raise UsageError("--client, --target, --exited, --time and --value go with --from")
    if table:
        invocation.show(init_from(directory, table, Roles(**roles)))
    else:
        invocation.show(init_demo(directory, invocation.progress) if demo else init_empty(directory))


@command("demo-data")
@click.argument("directory", type=PLACE)
@click.option("--rows", type=WHOLE, default="10000", show_default=True, help="Clients of the company; 1e8 is fine.")
@click.option("--files", type=int, default=2, show_default=True, help="Files in practicedata/ and in sourcedata/.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same company.")
@click.option("--extended", is_flag=True, help="With region, segment, contract_value, tenure_months, snapshot_date.")
@click.option("--truth", is_flag=True, help="With each client's true probability of exit, in truth/.")
def demo_data(invocation: Invocation, directory: Path, *, rows: int, **options: Any) -> None:
    """Write the demo company's files to DIRECTORY: practicedata/, testdata/ and sourcedata/.

    Example: holdfast demo-data company --rows 1e6 --files 10
    """
    from holdfast.democompany import DemoOptions, write_demo

    invocation.show(write_demo(directory, DemoOptions(rows=rows, **options), invocation.progress))


@command("status")
def status(invocation: Invocation) -> None:
    """Show on one screen what is deployed, how good it is, what came in, what happens next.

    Example: holdfast status
    """
    from holdfast.steps.status import status

    invocation.show(status(invocation.workspace))


@click.group("schedule", context_settings={"help_option_names": ["-h", "--help"]})
def schedule() -> None:
    """Run the full process by cron at regular intervals."""


@command("install")
@click.option("--every", default="10m", show_default=True, help="Interval, like 10m, 2h or 1d.")
def install(invocation: Invocation, every: str) -> None:
    """Put a line for this workspace into your crontab, replacing an earlier one.

    Example: holdfast schedule install --every 10m
    """
    from holdfast.store.crontab import install_schedule

    invocation.show(install_schedule(invocation.workspace.root, every))


@command("show")
def show(invocation: Invocation) -> None:
    """Show this workspace's line in your crontab.

    Example: holdfast schedule show
    """
    from holdfast.store.crontab import show_schedule

    invocation.show(show_schedule(invocation.workspace.root))


@command("remove")
def remove(invocation: Invocation) -> None:
    """Take this workspace's line out of your crontab.

    Example: holdfast schedule remove
    """
    from holdfast.store.crontab import remove_schedule

    invocation.show(remove_schedule(invocation.workspace.root))


for _command in (install, show, remove):
    schedule.add_command(_command)
