"""The commands about the dataset: statistics, versions, lineage, erasure."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.errors import UsageError
from holdfast.invocation import PLACE, Invocation, command

AS_OF = click.option("--as-of", type=click.IntRange(min=0), metavar="VERSION", help="A version; default: the latest.")
SHOWN_DELIVERIES = 40
HELP = {"help_option_names": ["-h", "--help"]}


@command("summary")
@AS_OF
def summary(invocation: Invocation, as_of: int | None) -> None:
    """Show statistics of every column of the dataset, now or as of a version.

    Example: holdfast summary --as-of 3
    """
    from holdfast.steps.datasets import summarise

    invocation.show(summarise(invocation.workspace, as_of, invocation.progress))


@click.group("dataset", context_settings=HELP)
def dataset() -> None:
    """List the dataset's versions and deliveries, export a version, keep its files few."""


@command("versions")
def versions(invocation: Invocation) -> None:
    """List every version of the dataset: when it was made, by which delivery, and whether it can still be read.

    Example: holdfast dataset versions
    """
    from holdfast.steps.datasets import history

    invocation.show(history(invocation.workspace))


@command("deliveries")
@click.option(
    "--all", "every", is_flag=True, help=f"Show all of them, not only the first and last of {SHOWN_DELIVERIES}."
)
def deliveries(invocation: Invocation, *, every: bool) -> None:
    """List everything that was delivered so far: what became of its rows, and what is part of the dataset now.

    Example: holdfast dataset deliveries --all
    """
    from holdfast.steps.datasets import deliveries

    invocation.show(deliveries(invocation.workspace), limit=None if every else SHOWN_DELIVERIES)


@command("export")
@click.argument("out", type=PLACE)
@AS_OF
def export(invocation: Invocation, out: Path, as_of: int | None) -> None:
    """Write the dataset to OUT (.csv), now or as of a version.

    Example: holdfast dataset export march.csv --as-of 3
    """
    from holdfast.steps.datasets import export

    invocation.show(export(invocation.workspace, out, as_of, invocation.progress))


@command("tidy")
def tidy(invocation: Invocation) -> None:
    """Merge the dataset's small files, and delete those that no kept version needs.

    Ingestion does this by itself now and then.

    Example: holdfast dataset tidy
    """
    from holdfast.steps.datasets import tidy

    invocation.show(tidy(invocation.workspace))


for _command in (versions, deliveries, export, tidy):
    dataset.add_command(_command)


@click.group("lineage", context_settings=HELP)
def lineage() -> None:
    """Trace a client, a row, a model or an assessment back to deliveries and lines."""


@command("client")
@click.argument("client")
def client(invocation: Invocation, client: str) -> None:
    """Show every delivered row of CLIENT, and the models and assessments that rest on them.

    Example: holdfast lineage client acme
    """
    from holdfast.steps.tracing import trace_client

    invocation.show(trace_client(invocation.workspace, client))


@command("row")
@click.argument("number", type=click.IntRange(min=1))
def row(invocation: Invocation, number: int) -> None:
    """Show where row NUMBER of finaldata.csv (from 1, without the header) was delivered.

    Example: holdfast lineage row 17
    """
    from holdfast.steps.tracing import trace_row

    invocation.show(trace_row(invocation.workspace, number))


@command("model")
@click.argument("digest")
def model(invocation: Invocation, digest: str) -> None:
    """Show the deliveries that a model learned from. DIGEST: the beginning of the model's digest, or a release.

    Example: holdfast lineage model 1b9d4f
    """
    from holdfast.steps.tracing import trace_model

    invocation.show(trace_model(invocation.workspace, digest))


@command("assessment")
@click.argument("number", type=click.IntRange(min=1), required=False)
def assessment(invocation: Invocation, number: int | None) -> None:
    """Show the model and the deliveries behind assessment NUMBER; default: the latest.

    Example: holdfast lineage assessment
    """
    from holdfast.steps.tracing import trace_assessment

    invocation.show(trace_assessment(invocation.workspace, number))


@command("delivery")
@click.argument("number", type=click.IntRange(min=1))
def delivery(invocation: Invocation, number: int) -> None:
    """Show delivery NUMBER, and the models and assessments that rest on it.

    Example: holdfast lineage delivery 3
    """
    from holdfast.steps.tracing import trace_delivery

    invocation.show(trace_delivery(invocation.workspace, number))


for _command in (client, row, model, assessment, delivery):
    lineage.add_command(_command)


@command("erase")
@click.argument("client")
@click.option("--reason", default="", help="Why, for the receipt. It must not name the client.")
@click.option("--dry-run", is_flag=True, help="Say what would be changed, and change nothing.")
@click.option(
    "--in-advance",
    is_flag=True,
    help="Keep out a client of whom the dataset has no row. Rows of exactly this id are removed; files that only "
    "mention it are listed, and left as they are.",
)
@click.option(
    "--undo", is_flag=True, help="Take CLIENT again when it is delivered. Erased rows do not come back by it."
)
def erase(invocation: Invocation, client: str, reason: str, *, dry_run: bool, in_advance: bool, undo: bool) -> None:
    """Remove CLIENT from the dataset, its history, quarantine, exports, assessments and files, for good.

    A keyed tombstone keeps later deliveries from bringing the client back. Writes a receipt.

    Example: holdfast erase acme --reason "request of 20 November"
    """
    from holdfast.steps.erasure import erase, plan_erasure, undo_erasure

    workspace, progress = invocation.workspace, invocation.progress
    if undo and (dry_run or in_advance):
        raise UsageError("--undo goes with --reason alone")
    if undo:
        invocation.show(undo_erasure(workspace, client, reason))
    elif dry_run:
        invocation.show(plan_erasure(workspace, client, progress, in_advance=in_advance))
    else:
        invocation.show(erase(workspace, client, reason, progress, in_advance=in_advance))
