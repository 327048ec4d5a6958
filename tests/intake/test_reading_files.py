"""Files become parts of the dataset, several at a time: in order, whatever happens to some of them."""

from __future__ import annotations

import itertools
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from holdfast.errors import CannotWrite, FileRefused
from holdfast.intake.erased import Erased
from holdfast.intake.reading_files import Request, store_file, store_files
from holdfast.intake.storing import Destination, Stored
from holdfast.limits import Limits
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources import readers
from holdfast.sources.parsed import Reading
from holdfast.sources.readers import Child, Readers
from holdfast.store.quarantine import held_rows
from holdfast.store.tombstones import Tombstones

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
ROWS = "acme,1,2,3,0\nbeta,x,2,3,1\ngamma,4,5,6,1\n"
NOBODY = Erased(key=None, tombstones=frozenset())
BRIEF = Reading(schema=BRIEF_SCHEMA)


@dataclass
class Desk:
    """Where requests are made."""

    folder: Path
    stack: ExitStack
    numbers: Iterator[int]

    def request(self, text: str = HEADER + ROWS, name: str = "a.csv", **changed: Any) -> Request:
        """A request to read a file with this text."""
        number = next(self.numbers)
        path = self.folder / f"{number}-{name}"
        path.write_text(text)
        request = Request(
            stream=self.stack.enter_context(path.open("rb")),
            name=name,
            reading=BRIEF,
            destination=Destination(
                delivery=number,
                part=self.folder / f"{number}.parquet",
                quarantine=self.folder / f"{number}.quarantine.parquet",
            ),
            erased=NOBODY,
        )
        return replace(request, **changed)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(tmp_path, stack, itertools.count(1))


def nothing(_rows: int, _share: float) -> None:
    """Progress that nobody watches."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


# ---- one file


def test_a_file_is_read_into_its_part_and_its_quarantine(child: Child, desk: Desk) -> None:
    request = desk.request()
    seen: list[tuple[int, float]] = []
    stored = store_file(child, request, lambda rows, share: seen.append((rows, share)))
    assert (stored.rows, stored.valid, stored.quarantined) == (3, 2, 1)
    assert stored.header == BRIEF_SCHEMA.names
    assert [(row.line, row.column) for row in stored.shown] == [(3, "lastmonth_activity")]
    assert pq.read_table(request.destination.part).column("corporation").to_pylist() == ["acme", "gamma"]
    assert [held.row.text for held in held_rows(request.destination.quarantine)] == ["beta,x,2,3,1"]
    assert seen == [(3, 1.0)]


def test_what_the_request_says_reaches_the_reading_process(child: Child, desk: Desk) -> None:
    key = bytes(32)
    tombstones = frozenset({Tombstones(key, frozenset()).tombstone_of("acme")})
    text = (HEADER + ROWS).replace("corporation", "Company")
    request = desk.request(
        text,
        reading=replace(BRIEF, renamed={"Company": "corporation"}),
        erased=Erased(key=key, tombstones=tombstones),
        name="ä\n=cmd.csv",
    )
    stored = store_file(child, request, nothing)
    assert (stored.rows, stored.valid, stored.quarantined, stored.erased) == (3, 1, 1, 1)
    narrow = desk.request(reading=replace(BRIEF, limits=Limits(columns=4)))
    with pytest.raises(FileRefused, match="5 columns; at most 4"):
        store_file(child, narrow, nothing)


def test_a_part_that_cannot_be_written_is_not_the_files_fault(desk: Desk) -> None:
    request = desk.request(HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(50_000)))
    child = Child()
    try:
        assert store_file(child, desk.request(), nothing).rows == 3
        resource.prlimit(child._process.pid, resource.RLIMIT_FSIZE, (10_000, 10_000))
        with pytest.raises(CannotWrite, match="cannot write: ") as caught:
            store_file(child, request, nothing)
    finally:
        child.end()
    assert caught.value.file == str(request.destination.part)
    assert caught.value.exit_status == 73


def test_a_process_that_was_asked_for_rows_can_write_a_part_afterwards(desk: Desk) -> None:
    child = Child()
    try:
        resource.prlimit(child._process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert store_file(child, desk.request(), nothing).rows == 3
    finally:
        child.end()


# ---- several files


def test_outcomes_come_in_the_order_of_the_files_however_long_each_takes(desk: Desk) -> None:
    long = HEADER + '"a client",1,2,3,0\n' * 30_000
    texts = [long, HEADER + ROWS, "nothing\n", HEADER, long]
    with Readers(3) as pool:
        outcomes = list(store_files(pool, [desk.request(text, f"{n}.csv") for n, text in enumerate(texts)], silent))
    rows = [outcome.rows if isinstance(outcome, Stored) else outcome.file for outcome in outcomes]
    assert rows == [30_000, 3, "2.csv", 0, 30_000]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """The reading processes that are started from now on."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    monkeypatch.setattr(readers, "Child", start)
    return children


def test_a_file_that_kills_its_reader_costs_no_other_file(desk: Desk, started: list[Child]) -> None:
    huge = HEADER + "".join(f"client {number},1,2,3,0\n" for number in range(200_000))
    greedy = desk.request(huge, reading=replace(BRIEF, limits=Limits(memory_bytes=48 << 20)))
    with Readers(1) as pool:
        first, second, third = store_files(pool, [desk.request(), greedy, desk.request()], silent)
    assert isinstance(first, Stored)
    assert isinstance(second, FileRefused)
    assert isinstance(third, Stored)
    assert len(started) == 2


def test_an_interruption_ends_all_reading_processes(desk: Desk, started: list[Child]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    long = HEADER + '"a client",1,2,3,0\n' * 300_000

    def read() -> None:
        with Readers(2) as pool:
            list(store_files(pool, [desk.request(long) for _ in range(4)], interrupted))

    with pytest.raises(KeyboardInterrupt):
        read()
    assert started
    assert not any(child.running for child in started)


def test_progress_tells_rows_and_how_many_there_will_be_about(desk: Desk) -> None:
    told: list[tuple[str, int, int | None]] = []
    long = HEADER + '"a client",1,2,3,0\n' * 700_000
    with Readers(1) as pool:
        list(store_files(pool, [desk.request(long)], lambda *each: told.append(each)))
    known = [(done, total) for _, done, total in told if total]
    assert known
    assert [done for done, _ in known] == sorted(done for done, _ in known)
    assert all(done <= total for done, total in known)
    assert all(0.5 < total / 700_000 < 2 for _, total in known)
