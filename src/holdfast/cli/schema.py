"""The commands about the schema: what it is, what a file's would be, whether a file keeps it."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.invocation import FILE, Invocation, command


@click.group("schema", context_settings={"help_option_names": ["-h", "--help"]})
def schema() -> None:
    """Show the schema, find one by looking at a file, or check a file against it."""


@command("show")
def show(invocation: Invocation) -> None:
    """Show every column with its role, type, unit and rules, and where the schema comes from.

    Example: holdfast schema show
    """
    from holdfast.steps.schemas import show_schema

    invocation.show(show_schema(invocation.workspace))


@command("infer")
@click.argument("file", type=FILE)
@click.option("--client", help="The column that identifies the client.")
@click.option("--target", help="The column that says whether the client exited.")
@click.option("--time", help="The column that dates a row.")
@click.option("--value", help="The column that says what a client is worth.")
@click.option("--exited", metavar="VALUE", help="The value of the target that means: the client exited.")
@click.option("--sheet", help="The sheet of a workbook; default: the first that is shown.")
def infer(invocation: Invocation, file: Path, sheet: str | None, **roles: str | None) -> None:
    """Look at FILE and show the schema to put into config.json. Needs no workspace and changes nothing.

    FILE is CSV, also gzipped, Parquet or Excel. Example: holdfast schema infer clients.csv --target churned
    """
    from holdfast.sources.inference import Roles
    from holdfast.steps.schemas import infer_from

    invocation.show(infer_from(file, Roles(**roles), sheet))


@command("check")
@click.argument("file", type=FILE)
@click.option("--source", metavar="NAME", help="Read it with the column names and the sheet of this folder source.")
def check(invocation: Invocation, file: Path, source: str | None) -> None:
    """Check FILE against the schema without taking it in. Exit status 3: some rows would be quarantined.

    Example: holdfast schema check march.csv
    """
    from holdfast.steps.schemas import check_file

    invocation.show(check_file(invocation.workspace, file, source, invocation.progress))


for _command in (show, infer, check):
    schema.add_command(_command)
