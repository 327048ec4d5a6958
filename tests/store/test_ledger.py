"""The ledger: its migrations, its transactions, and what it does when the file is not what it expects."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from holdfast.errors import CannotWrite, ConfigurationError, InputOutputError
from holdfast.records import (
    Assessment,
    ClientRisk,
    Confusion,
    Dataset,
    Decision,
    Metric,
    Observation,
    Release,
    Scorecard,
    SourceFile,
    TrainRecord,
    to_json,
)
from holdfast.store.custody import KnownDataset
from holdfast.store.ledger import Ledger
from holdfast.store.migrations import HEAD
from holdfast.store.tables import metadata

SOURCE, SCHEMA = "sourcedata", "5" * 64
NOW = "2026-01-31T10:00:00Z"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    with Ledger(file) as opened:
        yield opened


def delivery(number: int, name: str = "a.csv", digest: str = "a", **changes: Any) -> SourceFile:
    plain = SourceFile(number=number, name=name, folder=SOURCE, digest=digest, size=1, received=NOW, status="accepted")
    return replace(plain, **changes)


def keep(ledger: Ledger, *files: SourceFile) -> None:
    for file in files:
        ledger.record_delivery("run", SOURCE, SCHEMA, file)


def run_of(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"run-{number}",
        "parent": None,
        "command": "ingest",
        "actor": "test",
        "started": NOW,
        "seconds": float(number),
        "status": "done",
        "exit_status": 0,
        "worked": True,
        "error": None,
        "record": None,
    } | changes


def tables_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def stamp(file: Path, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


# ---- migrations


@pytest.mark.usefixtures("ledger")
def test_the_migrations_make_the_tables_that_the_code_works_with(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_the_head_that_the_code_knows_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", "holdfast:store/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(file: Path) -> None:
    Ledger(file).close()
    stamp(file, "9999")
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="9999") as caught:
        Ledger(file)
    assert caught.value.exit_status == 78
    assert file.read_bytes() == before


def test_a_migration_that_is_killed_leaves_nothing_and_the_next_one_works(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_table: Callable[..., Any] = op.create_table

    def killed_at_the_scores(name: str, *columns: Any, **options: Any) -> Any:
        if name == "scores":
            raise KeyboardInterrupt
        return create_table(name, *columns, **options)

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_table", killed_at_the_scores)
        with pytest.raises(KeyboardInterrupt):
            Ledger(file)
    assert tables_in(file) == set()
    Ledger(file).close()
    assert tables_in(file) >= set(metadata.tables)


# ---- a ledger of the first version

FIRST_DELIVERY = {
    "number": 1,
    "name": "ä.csv",
    "folder": SOURCE,
    "digest": "a",
    "size": 7,
    "received": NOW,
    "status": "accepted",
    "rows": 5,
    "accepted": 3,
    "duplicate": 1,
    "quarantined": 1,
    "unlabelled": 2,
    "supersedes": None,
    "notices": ["x"],
    "error": None,
}
"""A delivery's record as the first version wrote it, before some fields were there."""


@pytest.fixture
def first_version(file: Path) -> Path:
    """A ledger as the first version of Holdfast left it, with something in every table."""
    engine = sa.create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", "holdfast:store/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    described = Release(
        id="0001-m",
        number=1,
        model_digest="m",
        dataset_digest="d",
        f1=0.5,
        files={},
        parent=None,
        actor="test",
        reason="because",
        created=NOW,
    )
    record = json.dumps(to_json(described))
    rows: dict[str, list[tuple[object, ...]]] = {
        "runs": [(1, "run-1", None, "ingest", "test", NOW, 1.5, "done", 0, True, None, "{}")],
        "deliveries": [
            (1, "run-1", SOURCE, SCHEMA, "a", "ä.csv", "accepted", True, json.dumps(FIRST_DELIVERY)),
            (2, "run-1", SOURCE, SCHEMA, "b", "b.csv", "accepted", False, json.dumps(FIRST_DELIVERY | {"number": 2})),
        ],
        "models": [("m", "run-1", NOW, "d", json.dumps(to_json(trained("m"))))],
        "scores": [(1, "run-1", NOW, "test", "m", 0.5, json.dumps(to_json(card("m", 0.5))))],
        "releases": [("0001-m", "run-1", NOW, record)],
        "decisions": [(1, "run-1", NOW, SOURCE, "d", True, "0001-m", json.dumps(to_json(decision("d"))))],
        "assessments": [(1, "run-1", NOW, "0001-m", "d", "x", json.dumps({"model_digest": "m"}))],
    }
    with closing(sqlite3.connect(file)) as plain, plain:
        for table, values in rows.items():
            places = ", ".join("?" * len(values[0]))
            plain.executemany(f"INSERT INTO {table} VALUES ({places})", values)
    return file


def test_what_the_first_version_wrote_stays_readable(first_version: Path) -> None:
    with Ledger(first_version) as ledger:
        kept = replace(
            delivery(1, "ä.csv"), size=7, rows=5, accepted=3, duplicate=1, quarantined=1, unlabelled=2, notices=("x",)
        )
        assert ledger.current_deliveries(SOURCE, SCHEMA) == (kept,)
        assert ledger.deliveries(SOURCE, SCHEMA) == ledger.every_delivery() == (kept, replace(kept, number=2))
        assert [run.seconds for run in ledger.runs()] == [1.5]
        assert ledger.models() == ((NOW, trained("m"), "d"),)
        assert ledger.scores() == ((NOW, card("m", 0.5)),)
        assert [release.id for release in ledger.releases()] == ["0001-m"]
        assert ledger.last_decision(SOURCE) == (decision("d"), True, "0001-m")
        assert [each.model for each in ledger.assessments()] == ["m"]
        assert (ledger.last_assessment(), ledger.next_delivery()) == (NOW, 3)


def test_datasets_that_the_second_version_wrote_stay_readable(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", "holdfast:store/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    record = Dataset(source=SOURCE, digest="d", version=3, rows=300, exited=20, unlabelled=1, deliveries=3)
    written = to_json(record) | {"files": ["a.csv", "ü.csv", "c.csv"]}
    del written["deliveries"]
    with closing(sqlite3.connect(file)) as plain, plain:
        values = ("d", "run-1", NOW, SOURCE, SCHEMA, 3, "[1, 2, 4]", json.dumps(written))
        plain.execute("INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    with Ledger(file) as ledger:
        assert ledger.dataset("d") == KnownDataset(record=record, created=NOW, deliveries=(1, 2, 4))


def test_what_the_first_version_did_not_know_is_empty_and_can_be_filled(first_version: Path) -> None:
    with Ledger(first_version) as ledger:
        assert (ledger.dataset("d"), ledger.acts(1), ledger.tombstones()) == (None, {}, frozenset())
        keep(ledger, delivery(3, digest="c", supersedes=1, version=4))
        assert [file.version for file in ledger.current_deliveries(SOURCE, SCHEMA)] == [4]
        ledger.begin_erasure("run-2", NOW, "t")
    with Ledger(first_version) as ledger:
        assert ledger.tombstones() == {"t"}


def test_a_ledger_that_was_brought_up_to_date_is_like_a_new_one(first_version: Path, tmp_path: Path) -> None:
    def schema_of(path: Path) -> set[str]:
        Ledger(path).close()
        with closing(sqlite3.connect(path)) as connection:
            return {row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}

    assert schema_of(first_version) == schema_of(tmp_path / "new.sqlite")


def test_an_update_that_is_killed_leaves_the_ledger_as_it_was(
    first_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    before = tables_in(first_version)
    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", killed)
        with pytest.raises(KeyboardInterrupt):
            Ledger(first_version)
    assert tables_in(first_version) == before
    with Ledger(first_version) as ledger:
        assert len(ledger.every_delivery()) == 2


def test_what_a_step_came_to_last_is_known_whatever_failed_since(file: Path) -> None:
    with Ledger(file) as ledger:
        assert ledger.last_result("ingest") is None
        for number, record in enumerate(('{"rows": 1}', '{"rows": 2}', None)):
            ledger.record_run(run_of(number, command="ingest", record=record))
        ledger.record_run(run_of(3, command="train", record='{"rows": 3}'))
        assert ledger.last_result("ingest") == {"rows": 2}


# ---- a ledger that many open, or that is none


def test_eight_that_open_a_new_ledger_at_once_all_get_it(file: Path) -> None:
    start = threading.Barrier(8)

    def opened(_: int) -> int:
        start.wait()
        with Ledger(file) as ledger:
            return ledger.next_delivery()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8))) == [1] * 8


@pytest.mark.parametrize("content", [b"not a database, but long enough to be looked at" * 40, b"<<<<<<< HEAD\n" * 100])
def test_a_file_that_is_no_database_is_a_known_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InputOutputError) as caught:
        Ledger(file)
    assert caught.value.file == str(file)
    assert file.read_bytes() == content


def test_a_folder_in_its_place_cannot_be_written(file: Path) -> None:
    file.mkdir()
    with pytest.raises(CannotWrite):
        Ledger(file)


def test_a_full_disk_loses_nothing_that_was_acknowledged(file: Path) -> None:
    kept: list[int] = []

    def no_larger(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 40")

    def record_many(ledger: Ledger) -> None:
        for number in range(1000):
            ledger.record_run(run_of(number, record="x" * 1000))
            kept.append(number)

    with Ledger(file) as ledger:
        keep(ledger, delivery(1))
    sa.event.listen(sa.pool.Pool, "connect", no_larger)
    try:
        with Ledger(file) as ledger, pytest.raises(CannotWrite) as caught:
            record_many(ledger)
    finally:
        sa.event.remove(sa.pool.Pool, "connect", no_larger)
    assert caught.value.exit_status == 73
    assert len(kept) > 10
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (len(kept),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# ---- deliveries


def test_deliveries_come_back_as_they_were_in_order_of_arrival(ledger: Ledger) -> None:
    files = [delivery(n, f"{9 - n}.csv", f"d{n}", notices=("ä",), error={"code": "x"}) for n in (1, 2, 3)]
    keep(ledger, *files)
    assert list(ledger.deliveries(SOURCE, SCHEMA)) == files
    assert ledger.next_delivery() == 4


def test_deliveries_of_another_folder_or_schema_are_another_dataset(ledger: Ledger) -> None:
    keep(ledger, delivery(1))
    assert ledger.current_deliveries("practicedata", SCHEMA) == ()
    assert ledger.current_deliveries(SOURCE, "6" * 64) == ()
    assert ledger.next_delivery() == 2, "numbers are for the whole workspace"


def test_a_superseded_delivery_stays_in_the_history_but_not_in_the_dataset(ledger: Ledger) -> None:
    first, second = delivery(1), delivery(2, digest="b", supersedes=1)
    keep(ledger, first, second)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (second,)
    assert ledger.deliveries(SOURCE, SCHEMA) == (first, second)


@pytest.mark.parametrize("status", ["duplicate", "refused"])
def test_only_accepted_deliveries_make_the_dataset(ledger: Ledger, status: str) -> None:
    keep(ledger, delivery(1, status=status))
    assert ledger.current_deliveries(SOURCE, SCHEMA) == ()


# ---- versions


def known(ledger: Ledger, digest: str, version: int | None, schema: str = SCHEMA) -> KnownDataset:
    """Keep a dataset with a version."""
    record = Dataset(source=SOURCE, digest=digest, version=version, rows=3, exited=0, unlabelled=0, deliveries=1)
    dataset = KnownDataset(record=record, created=NOW, deliveries=(1,))
    ledger.record_dataset("run", NOW, schema, dataset)
    return dataset


def test_the_numbers_and_the_datasets_are_those_of_the_whole_workspace(ledger: Ledger) -> None:
    assert (ledger.numbers(), ledger.sources()) == (frozenset(), ())
    keep(ledger, delivery(1), delivery(3, digest="b", status="refused"))
    ledger.record_delivery("run", "other", "6" * 64, delivery(2, digest="c"))
    assert ledger.numbers() == {1, 2, 3}
    assert sorted(ledger.sources()) == sorted([(SOURCE, SCHEMA), ("other", "6" * 64)])


def test_claims_are_the_latest_delivery_with_a_version_and_the_greatest_version(ledger: Ledger) -> None:
    assert ledger.claims(SOURCE, SCHEMA) == (0, 0, 0)
    keep(ledger, delivery(1, version=1), delivery(2, digest="b", version=4), delivery(3, digest="c", status="refused"))
    ledger.record_delivery("run", "other", SCHEMA, delivery(4, digest="d", version=9))
    for number, version in enumerate((4, 6, None)):
        known(ledger, f"d{number}", version)
    known(ledger, "d4", 8, "6" * 64)
    assert ledger.claims(SOURCE, SCHEMA) == (6, 2, 4)


def test_versions_of_another_table_are_forgotten_from_the_first_difference_on(ledger: Ledger) -> None:
    files = [delivery(number, digest=f"{number}", version=number) for number in (1, 2, 3)]
    keep(ledger, *files)
    datasets = [known(ledger, f"d{version}", version) for version in (1, 2, 3)]
    elsewhere = known(ledger, "d4", 4, "6" * 64)
    ledger.forget_versions(SOURCE, SCHEMA, {1: 1, 3: 2})
    assert [file.version for file in ledger.deliveries(SOURCE, SCHEMA)] == [1, None, 2]
    assert ledger.deliveries(SOURCE, SCHEMA) == tuple(
        replace(file, version=version) for file, version in zip(files, (1, None, 2), strict=True)
    )
    assert ledger.dataset("d1") == datasets[0]
    for later in datasets[1:]:
        assert ledger.dataset(later.record.digest) == replace(later, record=replace(later.record, version=None))
    assert ledger.dataset("d4") == elsewhere
    assert ledger.claims(SOURCE, SCHEMA) == (1, 3, 2)
    ledger.forget_versions(SOURCE, SCHEMA, {})
    assert ledger.claims(SOURCE, SCHEMA) == (0, 0, 0)


def test_a_delivery_and_what_it_supersedes_change_together_or_not_at_all(ledger: Ledger) -> None:
    keep(ledger, delivery(1))
    with pytest.raises(InputOutputError):
        keep(ledger, delivery(1, digest="b", supersedes=1))  # the number is taken
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (delivery(1),)


def test_a_delivery_that_was_withdrawn_comes_again_under_its_number(ledger: Ledger) -> None:
    keep(ledger, delivery(1), delivery(2, digest="b"))
    ledger.withdraw_delivery(1)
    again = delivery(1, version=7)
    keep(ledger, again)
    assert (
        ledger.current_deliveries(SOURCE, SCHEMA)
        == ledger.deliveries(SOURCE, SCHEMA)
        == (again, delivery(2, digest="b"))
    )


def test_the_number_of_a_withdrawn_delivery_is_not_given_to_other_bytes(ledger: Ledger) -> None:
    keep(ledger, delivery(1))
    ledger.withdraw_delivery(1)
    with pytest.raises(InputOutputError):
        keep(ledger, delivery(1, digest="b"))
    assert ledger.deliveries(SOURCE, SCHEMA) == (delivery(1),)


def test_a_delivery_is_outdated_until_it_comes_again(ledger: Ledger) -> None:
    keep(ledger, delivery(1))
    ledger.outdate_delivery(1)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (delivery(1, outdated=True),)
    ledger.withdraw_delivery(1)
    keep(ledger, delivery(1))
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (delivery(1),)


def test_when_bytes_came_last_is_told_over_all_schemas_of_a_folder(ledger: Ledger) -> None:
    keep(ledger, delivery(1), delivery(2, digest="b"), delivery(3, digest="c", status="refused"))
    ledger.record_delivery("run", SOURCE, "6" * 64, delivery(4))
    ledger.record_delivery("run", "practicedata", SCHEMA, delivery(5))
    assert ledger.last_came(SOURCE) == {"a": 4, "b": 2}


def test_what_repaired_a_superseded_delivery_leaves_with_it(ledger: Ledger) -> None:
    keep(
        ledger,
        delivery(1),
        delivery(2, digest="b"),
        delivery(3, digest="c", repairs=1),
        delivery(4, digest="e", repairs=2),
    )
    keep(ledger, delivery(5, digest="f", supersedes=1))
    assert [file.number for file in ledger.current_deliveries(SOURCE, SCHEMA)] == [2, 4, 5]


def test_a_delivery_of_another_folder_is_not_superseded(ledger: Ledger) -> None:
    ledger.record_delivery("run", "practicedata", SCHEMA, delivery(1))
    keep(ledger, delivery(2), delivery(3, digest="b", supersedes=1))
    assert [file.number for file in ledger.current_deliveries("practicedata", SCHEMA)] == [1]


def test_every_delivery_is_told_whatever_dataset_it_belongs_to(ledger: Ledger) -> None:
    keep(ledger, delivery(2, digest="b"))
    ledger.record_delivery("run", "practicedata", "6" * 64, delivery(1))
    assert [file.number for file in ledger.every_delivery()] == [1, 2]


def test_a_withdrawn_delivery_is_no_longer_current(ledger: Ledger) -> None:
    keep(ledger, delivery(1), delivery(2, digest="b"))
    ledger.withdraw_delivery(1)
    assert ledger.current_deliveries(SOURCE, SCHEMA) == (delivery(2, digest="b"),)


# ---- runs


def test_the_latest_runs_come_first_though_the_clock_stood_still_or_went_back(ledger: Ledger) -> None:
    for number, started in enumerate([NOW, NOW, "2020-01-01T00:00:00Z", NOW]):
        ledger.record_run(run_of(number, started=started))
    assert [run.seconds for run in ledger.runs()] == [3.0, 2.0, 1.0, 0.0]
    assert ledger.seconds_of("ingest") == (3.0, 2.0, 1.0, 0.0)


def test_steps_inside_a_command_are_not_listed_as_commands(ledger: Ledger) -> None:
    ledger.record_run(run_of(1))
    ledger.record_run(run_of(2, parent="run-1"))
    assert [run.seconds for run in ledger.runs()] == [1.0]


def test_only_successful_work_counts_as_a_timing(ledger: Ledger) -> None:
    others: list[dict[str, Any]] = [{"status": "failed"}, {"worked": False}, {"command": "train"}]
    for number, changes in enumerate([{}, *others]):
        ledger.record_run(run_of(number, **changes))
    assert ledger.seconds_of("ingest") == (0.0,)


# ---- models, scores, releases, decisions, assessments


def trained(model: str) -> TrainRecord:
    return TrainRecord(
        model_digest=model,
        features=("visits",),
        intercept=-1.0,
        coefficients=(0.5,),
        rows=4,
        exited=2,
        left_out=0,
        held_out=1,
        converged=True,
        notices=(),
        seconds=0.1,
    )


def test_models_come_oldest_first_each_kept_once_with_its_dataset(ledger: Ledger) -> None:
    for created, model in (("2026-02-01", "n"), ("2026-01-01", "m"), ("2026-03-01", "n")):
        ledger.record_model("run", created, f"data of {model}", trained(model))
    assert ledger.models() == (
        ("2026-01-01", trained("m"), "data of m"),
        ("2026-03-01", trained("n"), "data of n"),
    )


def test_assessments_are_kept_without_their_lists(ledger: Ledger, file: Path) -> None:
    client = ClientRisk(client="somebody", rank=1, probability=0.5, values=(1.0,), contributions=(0.1,))
    for number in (1, 2):
        assessment = Assessment(
            release=f"000{number}-m",
            model_digest="m",
            dataset_digest="d",
            created=NOW,
            features=("visits",),
            base=0.0,
            expected_exits=0.5,
            clients=(client,),
            files=(),
            notices=(),
            seconds=0.1,
        )
        ledger.record_assessment("run", assessment, "x")
    assert [tuple(each) for each in ledger.assessments()] == [
        (1, NOW, "0001-m", "m", "d"),
        (2, NOW, "0002-m", "m", "d"),
    ]
    assert not [path for path in file.parent.iterdir() if b"somebody" in path.read_bytes()]


def card(model: str, f1: float | None) -> Scorecard:
    return Scorecard(
        model_digest=model,
        data="testdata",
        data_digest="t",
        rows=4,
        exited=2,
        capacity=100,
        confusion=Confusion(
            stayed_predicted_stayed=1,
            stayed_predicted_exited=1,
            exited_predicted_stayed=1,
            exited_predicted_exited=1,
        ),
        metrics={"f1": Metric(value=f1, low=None, high=None, n=4)},
        overlap=0,
        quarantined=0,
        notices=(),
        seconds=0.1,
    )


def test_the_latest_score_of_a_model_on_one_kind_of_data_is_found(ledger: Ledger) -> None:
    for kind, each in (("test", card("m", 0.5)), ("unseen", card("m", None)), ("test", card("n", 0.7))):
        ledger.record_score("run", NOW, kind, each)
    assert ledger.score_of("m", "test") == card("m", 0.5)
    assert ledger.score_of("m", "unseen") == card("m", None)
    assert ledger.score_of("n", "unseen") is None
    ledger.record_score("run", NOW, "test", card("m", 0.6))
    assert ledger.score_of("m", "test") == card("m", 0.6)


def test_scores_come_oldest_first_and_the_latest_are_kept_when_there_are_many(ledger: Ledger) -> None:
    for number in range(5):
        ledger.record_score("run", NOW, "test", card("m", number / 10))
    assert [each.f1.value for _, each in ledger.scores(limit=3)] == [0.2, 0.3, 0.4]


def test_a_release_is_kept_once(ledger: Ledger) -> None:
    release = Release(
        id="0001-m",
        number=1,
        model_digest="m",
        dataset_digest="d",
        f1=0.5,
        files={"model.json": "f"},
        parent=None,
        actor="test",
        reason="because",
        created=NOW,
    )
    ledger.record_release("run-1", release)
    ledger.record_release("run-2", release)
    assert ledger.releases() == (release,)


def decision(dataset: str, source: str = SOURCE) -> Decision:
    observation = Observation(
        source=source,
        new_files=("a.csv",),
        refused_files=(),
        dataset_digest=dataset,
        dataset_rows=4,
        release=None,
        release_learned_from=None,
        deployed_f1=None,
        unseen_rows=0,
        unseen_exited=0,
        unseen_f1=Metric(value=0.5, low=0.25, high=0.75, n=4),
        unusable=None,
        decided_before=False,
        unfinished=False,
    )
    return Decision(action="train", policy="raw", reasons=("no model",), observation=observation)


def test_a_decision_is_unfinished_until_it_is_said_to_be_finished(ledger: Ledger) -> None:
    assert ledger.last_decision(SOURCE) is None
    ledger.record_decision("run-1", NOW, decision("d"))
    assert ledger.last_decision(SOURCE) == (decision("d"), False, None)
    ledger.finish_decision("run-1", "0001-abc")
    assert ledger.last_decision(SOURCE) == (decision("d"), True, "0001-abc")


def test_the_last_decision_is_that_of_one_input_folder(ledger: Ledger) -> None:
    ledger.record_decision("run-1", NOW, decision("d", "practicedata"))
    ledger.record_decision("run-2", NOW, decision("e"))
    found = ledger.last_decision("practicedata")
    assert found is not None
    assert found[0].observation.dataset_digest == "d"
    assert [each.observation.dataset_digest for _, each in ledger.decisions()] == ["e", "d"]


def test_readers_see_whole_transactions_while_others_write(file: Path) -> None:
    """A writer supersedes one delivery by the next: at every moment exactly one is current."""
    with Ledger(file) as writer, Ledger(file) as reader:
        keep(writer, delivery(1, digest="d1"))
        counts: list[int] = []
        finished = threading.Event()

        def read() -> None:
            while not finished.is_set():
                counts.append(len(reader.current_deliveries(SOURCE, SCHEMA)))

        thread = threading.Thread(target=read)
        thread.start()
        for number in range(2, 60):
            keep(writer, delivery(number, digest=f"d{number}", supersedes=number - 1))
        finished.set()
        thread.join()
    assert len(counts) > 5
    assert set(counts) == {1}
