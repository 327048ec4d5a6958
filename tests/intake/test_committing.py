"""Deliveries become the dataset one by one; a crash anywhere is mended by the next command."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.dataset import quarantine_of, table_of
from holdfast.engines.duckdb import DuckDBEngine
from holdfast.intake import taking, upkeep
from holdfast.intake.committing import UNJUDGED
from holdfast.records import IngestRecord, QuarantineAct, SourceFile, to_json
from holdfast.schema import schema_from_json
from holdfast.session import begin, reading
from holdfast.sourcelist import DatabaseSource
from holdfast.steps.ingestion import ingest
from holdfast.steps.quarantine import list_quarantine, replay
from holdfast.store import files as store_files
from holdfast.store.deltatable import DatasetTable
from holdfast.store.ledger import Ledger
from holdfast.store.quarantine import contradictions_beside, held_rows
from holdfast.workspace import Conflicts, Workspace

Deliver = Callable[..., Path]
OLD = ("a,1,2,3,0", "b,1,2,3,0", "c,1,2,3,1")
CHANGED = ("a,7,2,3,0", "b,1,2,3,0", "bad,x,2,3,0")
NEW = ("c,9,9,9,1", "d,1,2,3,", "e,1,2,3,perhaps", "bad", "d,1,2,3,")


def rows_of(workspace: Workspace) -> list[str]:
    return (workspace.output_folder / "finaldata.csv").read_text().splitlines()[1:]


def history_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.deliveries(workspace.source, workspace.schema.digest)


def history_without_time(workspace: Workspace) -> list[dict[str, Any]]:
    """The deliveries but for what depends on when they were made: times, and the dataset's version."""
    entries = [to_json(replace(file, received="", version=None)) for file in history_of(workspace)]
    for entry in entries:
        entry["notices"] = [notice.split("the delivery of")[0] for notice in entry["notices"]]
    return entries


def acts_on(ledger: Ledger, file: SourceFile) -> list[tuple[int, int, QuarantineAct]]:
    return [(file.number, line, act) for line, act in ledger.acts(file.number).items()]


def rows_in_the_table(workspace: Workspace) -> list[dict[str, Any]]:
    tables = [pq.read_table(part.path) for part in table_of(workspace).parts()]
    rows: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return sorted(rows, key=lambda row: (row["_delivery"], row["_line"]))


def outcome_of(workspace: Workspace) -> dict[str, Any]:
    """All that should be the same however often a command was killed before."""
    files = history_of(workspace)
    with reading(workspace) as (ledger, _):
        current = [file.number for file in ledger.current_deliveries(workspace.source, workspace.schema.digest)]
        acts = [(*each, act.act, act.replayed_as) for file in files for *each, act in acts_on(ledger, file)]
    return {
        "finaldata.csv": (workspace.output_folder / "finaldata.csv").read_bytes(),
        "names": (workspace.output_folder / "ingestedfiles.txt").read_text().splitlines()[0],
        "history": history_without_time(workspace),
        "current": current,
        "quarantine": {file.number: list(held_rows(quarantine_of(workspace, file))) for file in files},
        "acts": acts,
        "in the table": rows_in_the_table(workspace),
    }


@pytest.fixture
def prepared(empty: Workspace, deliver: Deliver) -> Workspace:
    """A workspace that has taken two files, and in which a changed one, a new one and a copy of that lie."""
    workspace = replace(empty, conflicts="latest")
    deliver(workspace.input_folder, "a.csv", OLD)
    deliver(workspace.input_folder, "b.csv", ["z,1,2,3,1"])
    ingest(workspace)
    deliver(workspace.input_folder, "a.csv", CHANGED)
    deliver(workspace.input_folder, "n.csv", NEW)
    deliver(workspace.input_folder, "o.csv", NEW)
    return workspace


def copied(workspace: Workspace, name: str) -> Workspace:
    """A copy of a workspace, to try something in."""
    root = workspace.root.with_name(name)
    shutil.copytree(workspace.root, root)
    return replace(Workspace.open(root), conflicts=workspace.conflicts, schema=workspace.schema)


STEPS: tuple[tuple[Any, str], ...] = (
    (taking, "move_into_place"),
    (DatasetTable, "commit"),
    (DatasetTable, "forget"),
    (DuckDBEngine, "rewrite"),
    (DuckDBEngine, "write_csv"),
    (Ledger, "record_delivery"),
    (Ledger, "record_dataset"),
    (Ledger, "record_run"),
    (store_files, "move_into_place"),
)


@dataclass
class Killer:
    """Ends a command before its `at`-th step; counts the steps."""

    at: int | None = None
    steps: list[str] = field(default_factory=list)

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.steps.append(name)
            if len(self.steps) == self.at:
                raise KeyboardInterrupt
            return real(*arguments, **named)

        return step

    def work(self, command: Callable[[Workspace], object], workspace: Workspace) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(upkeep, "MOST_PARTS", 2)
            for owner, name in STEPS:
                patch.setattr(owner, name, self.around(name, getattr(owner, name)))
            try:
                command(workspace)
            except KeyboardInterrupt:
                assert self.at is not None


def killed_at(command: Callable[[Workspace], object], workspace: Workspace, *names: str) -> None:
    """Kill a command at each of its steps of these names: called again, it ends where an undisturbed one does."""
    undisturbed, steps = copied(workspace, "undisturbed"), Killer()
    steps.work(command, undisturbed)
    expected = outcome_of(undisturbed)
    chosen = [(at, name) for at, name in enumerate(steps.steps, 1) if name in names]
    assert {name for _, name in chosen} == set(names)
    for at, name in chosen:
        trial = copied(workspace, "trial")
        Killer(at).work(command, trial)
        Killer().work(command, trial)
        assert outcome_of(trial) == expected, f"killed before step {at}, {name}"
        shutil.rmtree(trial.root)


def test_an_ingestion_killed_at_any_step_converges(prepared: Workspace) -> None:
    killed_at(ingest, prepared, *(name for _, name in STEPS))


def test_a_replay_killed_at_any_step_converges(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["a,1,2,3,0", "b,-1,2,3,0", "c,-1,2,3,1"])
    deliver(empty.input_folder, "b.csv", ["d,1,2,3,0"])
    ingest(empty)
    file = history_of(empty)[0]
    with begin(empty, "test") as session:
        session.ledger.record_acts(
            session.run_id,
            [
                repaired(file.number, held.row.line, held.row.text.replace("-1", "1"))
                for held in held_rows(quarantine_of(empty, file))
            ],
        )
    killed_at(replay, empty, "commit", "record_delivery", "record_dataset", "write_csv")


def test_contradictions_are_in_quarantine_though_the_command_that_judged_anew_was_killed(
    empty: Workspace, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = replace(empty, conflicts="quarantine")
    deliver(workspace.input_folder, "a.csv", ["a,1,1,1,0"])
    deliver(workspace.input_folder, "b.csv", ["a,2,2,2,0"])
    ingest(workspace)
    deliver(workspace.input_folder, "a.csv", ["z,1,1,1,0"])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DatasetTable, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(workspace)
    (workspace.input_folder / "a.csv").unlink()
    ingest(workspace)
    (held,) = list_quarantine(workspace).deliveries
    assert (held.delivery, held.open) == (2, 1)
    assert not (workspace.state_folder / UNJUDGED).exists()


def repaired(delivery: int, line: int, text: str) -> QuarantineAct:
    return QuarantineAct(
        delivery=delivery,
        line=line,
        act="repaired",
        text=text,
        reason=None,
        replayed_as=None,
        actor="tester",
        created="2026-01-31T10:00:00Z",
    )


# ---- between the table and the ledger


def broken_off(workspace: Workspace, name: str) -> None:
    """An ingestion whose ledger fails once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, name, failing)
        with pytest.raises(KeyboardInterrupt):
            ingest(workspace)


def failing(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_the_table_has_and_the_ledger_lacks_is_mended_without_reading_the_file_again(
    empty: Workspace, deliver: Deliver
) -> None:
    deliver(empty.input_folder, "a.csv", [*OLD, "bad"])
    broken_off(empty, "record_delivery")
    assert history_of(empty) == ()
    assert table_of(empty).version == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taking, "Readers", failing)
        record = ingest(empty)
    assert (record.files, record.known, record.dataset.rows) == ((), 1, 3)
    (file,) = history_of(empty)
    assert (file.rows, file.accepted, file.quarantined, file.version) == (4, 3, 1, 1)
    assert table_of(empty).version == 1


def test_the_dataset_after_a_crash_can_be_traced_to_its_deliveries(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", OLD)
    broken_off(empty, "record_dataset")
    digest = ingest(empty).dataset.digest
    with reading(empty) as (ledger, _):
        known = ledger.dataset(digest)
    assert known is not None
    assert (known.deliveries, known.record.rows, known.record.exited) == ((1,), 3, 1)


def test_a_crash_in_another_output_folder_is_mended_there(prepared: Workspace, deliver: Deliver) -> None:
    """The table of the new folder counts its versions from the start again."""
    for number in range(3):
        deliver(prepared.input_folder, "b.csv", [f"z,{number},2,3,1"])
        ingest(prepared)
    elsewhere = replace(prepared, output_folder=prepared.root / "elsewhere")
    broken_off(elsewhere, "record_delivery")
    ingest(elsewhere)
    assert sorted(rows_of(elsewhere)) == sorted(rows_of(prepared))
    deliveries = [row["_delivery"] for row in rows_in_the_table(elsewhere)]
    assert len(deliveries) == sum(file.rows - file.quarantined for file in current_of(elsewhere))


def current_of(workspace: Workspace) -> tuple[SourceFile, ...]:
    with reading(workspace) as (ledger, _):
        return ledger.current_deliveries(workspace.source, workspace.schema.digest)


def test_an_output_folder_that_is_changed_and_changed_back_shows_the_current_rows_only(
    prepared: Workspace, deliver: Deliver
) -> None:
    ingest(prepared)
    elsewhere = replace(prepared, output_folder=prepared.root / "elsewhere")
    ingest(elsewhere)
    ingest(prepared)
    assert sorted(rows_of(prepared)) == sorted(rows_of(elsewhere))
    deliver(prepared.input_folder, "a.csv", ["new,1,2,3,0"])
    ingest(prepared)
    ingest(elsewhere)
    for workspace in (prepared, elsewhere):
        assert not [row for row in rows_of(workspace) if row.startswith("b,")], "they left with the old a.csv"
        assert "new,1,2,3,0" in rows_of(workspace)


# ---- what takes whose place


def test_a_delivery_inside_a_compacted_part_is_superseded_alone(empty: Workspace, deliver: Deliver) -> None:
    for name in "abc":
        deliver(empty.input_folder, f"{name}.csv", [f"{name},1,2,3,0", f"{name}2,1,2,3,1", "all,1,2,3,0"])
    ingest(empty)
    with begin(empty, "test") as session:
        assert upkeep.compact(session, table_of(empty)) == 3
    deliver(empty.input_folder, "b.csv", ["new,1,2,3,0"])
    record = ingest(empty)
    assert rows_of(empty) == [
        "a,1,2,3,0",
        "a2,1,2,3,1",
        "all,1,2,3,0",
        "c,1,2,3,0",
        "c2,1,2,3,1",
        "new,1,2,3,0",
    ]
    assert record.dataset.rows == 6
    assert {row["_delivery"] for row in rows_in_the_table(empty)} == {1, 3, 4}
    deliver(empty.input_folder, "a.csv", ["newer,1,2,3,0"])
    assert ingest(empty).dataset.rows == 5
    assert rows_of(empty)[0] == "c,1,2,3,0"
    assert rows_of(empty)[2] == "all,1,2,3,0", "which c.csv had too"


def test_every_delivery_of_a_compacted_part_can_be_superseded(empty: Workspace, deliver: Deliver) -> None:
    for name in "ab":
        deliver(empty.input_folder, f"{name}.csv", [f"{name},1,2,3,0"])
    ingest(empty)
    with begin(empty, "test") as session:
        upkeep.compact(session, table_of(empty))
    for name in "ab":
        deliver(empty.input_folder, f"{name}.csv", [f"{name}{name},1,2,3,0"])
    assert ingest(empty).dataset.rows == 2
    assert rows_of(empty) == ["aa,1,2,3,0", "bb,1,2,3,0"]


def test_the_latest_row_of_a_client_counts_and_the_delivery_tells_what_it_replaced(
    prepared: Workspace,
) -> None:
    record = ingest(prepared)
    assert rows_of(prepared) == ["z,1,2,3,1", "a,7,2,3,0", "b,1,2,3,0", "c,9,9,9,1", "d,1,2,3,", "e,1,2,3,"]
    changed, new, copy = record.files
    assert (changed.rows, changed.accepted, changed.quarantined, changed.replaced) == (3, 2, 1, 0)
    assert (new.rows, new.accepted, new.duplicate, new.quarantined, new.unlabelled) == (5, 3, 1, 1, 3)
    assert copy.status == "duplicate"


def test_a_row_that_takes_the_place_of_an_earlier_one_is_told(empty: Workspace, deliver: Deliver) -> None:
    workspace = replace(empty, conflicts="latest")
    deliver(workspace.input_folder, "a.csv", ["a,1,2,3,0", "b,1,2,3,0"])
    deliver(workspace.input_folder, "b.csv", ["b,1,2,3,0", "a,1,2,3,1"])
    record = ingest(workspace)
    assert rows_of(workspace) == ["b,1,2,3,0", "a,1,2,3,1"]
    assert [(file.accepted, file.duplicate, file.replaced) for file in record.files] == [(2, 0, 0), (1, 1, 1)]
    assert "b.csv: 1 row takes the place of earlier rows of the same client" in record.notices
    assert (record.dataset.rows, record.dataset.exited) == (2, 1)


# ---- contradictions


NOTED = schema_from_json(
    {
        "client": "corporation",
        "target": {"column": "exited", "exited": "yes", "stayed": "no"},
        "features": {"activity": {"type": "number"}, "size": {"type": "category", "missing_allowed": True}},
    }
)


def quarantining(empty: Workspace) -> Workspace:
    return replace(empty, conflicts="quarantine", schema=NOTED)


def deliver_noted(workspace: Workspace, name: str, *rows: str) -> None:
    (workspace.input_folder / name).write_text(
        "".join(f"{row}\n" for row in ("size,exited,corporation,activity", *rows))
    )


def test_a_row_that_contradicts_an_earlier_one_is_kept_with_both_places(empty: Workspace) -> None:
    workspace = quarantining(empty)
    deliver_noted(workspace, "a.csv", "big,no,acme,1.5", "small,yes,beta,2")
    deliver_noted(workspace, "b.csv", "small,yes,beta,2", ",yes,acme,1.50", "big,yes,new,3")
    record = ingest(workspace)
    assert (record.rows, record.accepted, record.duplicate, record.quarantined) == (5, 3, 1, 1)
    assert rows_of(workspace) == ["acme,1.5,big,no", "beta,2.0,small,yes", "new,3.0,big,yes"]
    (held,) = held_rows(quarantine_of(workspace, record.files[1]))
    assert (held.row.line, held.row.text) == (3, ",yes,acme,1.5")
    assert held.row.rule == "contradicts line 2 of a.csv, which has the same corporation"
    assert "b.csv: 1 row contradicts earlier rows of the same client" in record.notices


def test_the_text_of_a_contradicting_row_is_one_record_of_csv(empty: Workspace) -> None:
    workspace = quarantining(empty)
    with_line_end = replace(
        NOTED,
        columns=(
            *NOTED.columns[:-1],
            replace(NOTED.columns[1], name="note", type="text", role="ignored"),
            NOTED.target,
        ),
    )
    workspace = replace(workspace, schema=replace(with_line_end))
    header = "corporation,activity,size,note,exited"
    for name, note in (("a.csv", "one"), ("b.csv", '"two\nlines, and ""quotes"""')):
        (workspace.input_folder / name).write_text(f"{header}\nacme,1,big,{note},no\n")
    record = ingest(workspace)
    (held,) = held_rows(quarantine_of(workspace, record.files[1]))
    assert list(csv.reader(io.StringIO(held.row.text, newline=""))) == [
        ["acme", "1.0", "big", 'two\nlines, and "quotes"', "no"]
    ]


def test_contradictions_left_by_a_crash_are_not_another_deliverys(empty: Workspace, deliver: Deliver) -> None:
    workspace = replace(empty, conflicts="quarantine")
    deliver(workspace.input_folder, "a.csv", ["acme,1,2,3,0"])
    ingest(workspace)
    contradicting = deliver(workspace.input_folder, "b.csv", ["acme,9,9,9,1", "beta,1,2,3,0"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatasetTable, "commit", failing)
        with pytest.raises(KeyboardInterrupt):
            ingest(workspace)
    contradicting.unlink()
    deliver(workspace.input_folder, "c.csv", ["gamma,1,2,3,0"])
    record = ingest(workspace)
    (file,) = record.files
    assert (file.number, file.quarantined) == (2, 0)
    assert list(held_rows(quarantine_of(workspace, file))) == []
    assert not contradictions_beside(quarantine_of(workspace, file)).exists()


def test_a_contradiction_that_is_read_again_from_a_table_is_quarantined_once(empty: Workspace) -> None:
    database = empty.root / "crm.sqlite"
    rows = [("acme", 1, "2026-01-01"), ("acme", 2, "2026-01-02"), ("beta", 3, "2026-01-03")]
    with contextlib.closing(sqlite3.connect(database)) as crm, crm:
        crm.execute("CREATE TABLE clients (corporation, lastmonth_activity, changed)")
        crm.executemany("INSERT INTO clients VALUES (?, ?, ?)", rows)
    query = "SELECT *, 0 AS lastyear_activity, 1 AS number_of_employees, 0 AS exited FROM clients"
    crm_source = DatabaseSource(
        name="crm", database=f"sqlite:///{database}", query=query, watermark="changed", overlap=10**7
    )
    workspace = replace(empty, conflicts="quarantine", sources=(crm_source,))
    assert [file.quarantined for file in ingest(workspace).files] == [1]
    for number in range(2):
        with contextlib.closing(sqlite3.connect(database)) as crm, crm:
            crm.execute("INSERT INTO clients VALUES (?, 4, ?)", (f"c{number}", f"2026-02-0{number + 1}"))
        (file,) = ingest(workspace).files
        assert (file.rows, file.accepted, file.duplicate, file.quarantined) == (4 + number, 1, 3 + number, 0)


# ---- another rule


RULE_NOTICE = (
    "rows that contradict each other: the rule was '{}' and is '{}' now, so the dataset has {} instead of {}; "
    "'conflicts' in config.json sets it"
)


def notices_of_rules(record: IngestRecord) -> list[str]:
    return [notice for notice in record.notices if "the rule was" in notice]


def test_another_rule_for_the_same_deliveries_is_told_with_the_rows_before_and_now(
    empty: Workspace, deliver: Deliver
) -> None:
    deliver(empty.input_folder, "a.csv", ["a,1,2,3,0", "b,1,2,3,0", "a,9,2,3,1"])
    assert notices_of_rules(ingest(empty)) == []
    latest = replace(empty, conflicts="latest")
    for workspace, told in ((latest, ("keep", "latest", "2 rows", 3)), (empty, ("latest", "keep", "3 rows", 2))):
        assert notices_of_rules(ingest(workspace)) == [RULE_NOTICE.format(*told)]
        assert notices_of_rules(ingest(workspace)) == []


def test_a_new_database_source_does_not_change_the_rule_silently(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["a,1,2,3,0", "a,9,2,3,1"])
    ingest(empty)
    with contextlib.closing(sqlite3.connect(empty.root / "crm.sqlite")) as crm, crm:
        crm.execute("CREATE TABLE clients (corporation, lastmonth_activity, lastyear_activity)")
        crm.execute("ALTER TABLE clients ADD number_of_employees")
        crm.execute("ALTER TABLE clients ADD exited")
        crm.execute("INSERT INTO clients VALUES ('c', 1, 2, 3, 0)")
    config = empty.root / "config.json"
    source = {"name": "crm", "database": "sqlite:///crm.sqlite", "table": "clients"}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sources": [source]}))
    record = ingest(Workspace.open(empty.root))
    assert notices_of_rules(record) == [RULE_NOTICE.format("keep", "latest", "1 row", 2)]
    assert record.dataset.rows == 2


def test_rows_that_a_new_rule_refuses_are_in_quarantine_as_long_as_it_holds(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["a,1,2,3,0", "a,9,2,3,1"])
    ingest(empty)
    (file,) = history_of(empty)
    rules: list[tuple[Conflicts, list[str]]] = [("quarantine", ["a,9,2,3,1"]), ("latest", [])]
    for rule, held in rules:
        ingest(replace(empty, conflicts=rule))
        assert [row.row.text for row in held_rows(quarantine_of(empty, file))] == held


def test_a_replay_tells_of_another_rule_too(empty: Workspace, deliver: Deliver) -> None:
    deliver(empty.input_folder, "a.csv", ["a,1,2,3,0", "a,9,2,3,1"])
    ingest(empty)
    latest = replace(empty, conflicts="latest")
    assert notices_of_rules(replay(latest)) == [RULE_NOTICE.format("keep", "latest", "1 row", 2)]
    assert notices_of_rules(ingest(latest)) == []
