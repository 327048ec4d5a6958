"""The commands about refused rows."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.errors import UsageError
from holdfast.invocation import FILE, PLACE, Invocation, command

SHOWN = 20
"""Deliveries in a list, and rows of one delivery."""


@click.group("quarantine", context_settings={"help_option_names": ["-h", "--help"]})
def quarantine() -> None:
    """List refused rows, repair them, let them go, take them in again."""


@command("list")
@click.option("--all", "every", is_flag=True, help="Show every delivery, also those in which nothing waits.")
def list_(invocation: Invocation, *, every: bool) -> None:
    """List the deliveries with refused rows, the rules they broke, and the files that were refused as a whole.

    Example: holdfast quarantine list
    """
    from holdfast.steps.quarantine import list_quarantine

    invocation.show(list_quarantine(invocation.workspace), limit=None if every else SHOWN)


@command("show")
@click.argument("which", metavar="DELIVERY[:LINE]")
@click.option("--limit", type=click.IntRange(1, 10**9), default=SHOWN, show_default=True, help="The most rows to show.")
@click.option("--out", type=PLACE, help="Write all rows to this CSV file, to correct them there.")
def show(invocation: Invocation, which: str, *, limit: int, out: Path | None) -> None:
    """Show the refused rows of a delivery, or one of them, with rule and original text.

    Example: holdfast quarantine show 3 --out corrections.csv
    """
    from holdfast.steps.quarantine import show_quarantine

    invocation.show(show_quarantine(invocation.workspace, which, limit=limit, out=out))


@command("repair")
@click.argument("which", metavar="DELIVERY[:LINE]")
@click.option("--set", "changes", multiple=True, metavar="COLUMN=VALUE", help="A new value; may be given repeatedly.")
@click.option("--from", "corrected", type=FILE, help="What `show --out` wrote, corrected.")
def repair(invocation: Invocation, which: str, changes: tuple[str, ...], corrected: Path | None) -> None:
    """Give refused rows new values. `replay` then takes them in; the original text stays in quarantine.

    The file may come back from a spreadsheet program: CSV with commas, semicolons or tabs, or .xlsx.

    Example: holdfast quarantine repair 3:17 --set number_of_employees=12
    """
    from holdfast.steps.quarantine import repair, repair_from

    if (corrected is None) == (not changes):
        raise UsageError("repair needs either --set COLUMN=VALUE or --from FILE")
    if corrected is not None:
        invocation.show(repair_from(invocation.workspace, which, corrected, invocation.progress))
    else:
        invocation.show(repair(invocation.workspace, which, _values(changes)))


@command("waive")
@click.argument("which", metavar="DELIVERY[:LINE]...", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, for the record.")
def waive(invocation: Invocation, which: tuple[str, ...], reason: str) -> None:
    """Let refused rows go: they stay out of the dataset and are no longer listed as open.

    Example: holdfast quarantine waive 3:18 4 --reason "test clients of ours"
    """
    from holdfast.steps.quarantine import waive

    invocation.show(waive(invocation.workspace, which, reason))


@command("replay")
@click.argument("which", metavar="[DELIVERY]", required=False)
def replay(invocation: Invocation, which: str | None) -> None:
    """Take in the rows that were repaired. Repeating it changes nothing.

    Example: holdfast quarantine replay
    """
    from holdfast.steps.quarantine import replay

    invocation.show(replay(invocation.workspace, invocation.progress, which=which))


@command("forget")
@click.option("--days", type=click.IntRange(0, 36_500), required=True, help="How long ago rows must have been settled.")
def forget(invocation: Invocation, days: int) -> None:
    """Let go of the texts of refused rows that were taken in or waived at least so many days ago.

    Also of rows that were taken without their label, and of superseded deliveries. Rows that are open, or repaired and
    not yet taken in, stay. Of the others, places and rules stay.

    Example: holdfast quarantine forget --days 90
    """
    from holdfast.steps.quarantine import forget

    invocation.show(forget(invocation.workspace, days))


for _command in (list_, show, repair, waive, replay, forget):
    quarantine.add_command(_command)


def _values(changes: tuple[str, ...]) -> dict[str, str]:
    for change in changes:
        if "=" not in change:
            raise UsageError(f"'{change}' is not COLUMN=VALUE", hint="--set number_of_employees=12")
    return dict(change.split("=", 1) for change in changes)
