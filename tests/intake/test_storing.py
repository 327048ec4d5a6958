"""One delivery stored: each of its rows is in the part, in quarantine, or counted as left out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FileRefused, HoldfastError
from holdfast.intake.storing import SHOWN_REJECTS, Destination, Passing, Stored, store
from holdfast.schema import BRIEF_SCHEMA
from holdfast.sources import lines
from holdfast.sources.csvfile import CsvFile
from holdfast.sources.parsed import ParsedBatch, Reading
from holdfast.sources.unpacking import Hashed
from holdfast.store.quarantine import KnownTexts, held_rows
from holdfast.store.tombstones import Tombstones

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
KEY = bytes(32)


def nothing(_: int) -> None:
    """Progress that nobody watches."""


def csv_file(text: str, name: str = "a.csv") -> CsvFile:
    return CsvFile(Hashed(io.BytesIO(text.encode()), name), name, Reading(schema=BRIEF_SCHEMA))


def destination(folder: Path) -> Destination:
    return Destination(delivery=7, part=folder / "part.parquet", quarantine=folder / "quarantine.parquet")


def stored(folder: Path, text: str, passing: Passing | None = None) -> Stored:
    return store(csv_file(text), BRIEF_SCHEMA, destination(folder), passing or Passing(), nothing)


def erasing(*clients: str) -> Passing:
    none = Tombstones(KEY, frozenset())
    return Passing(erased=Tombstones(KEY, frozenset(none.tombstone_of(client) for client in clients)))


def test_good_rows_go_to_the_part_with_delivery_and_line_and_the_others_to_quarantine(tmp_path: Path) -> None:
    text = HEADER + "acme,1,2,3,0\nbeta,x,2,3,1\n\ngamma,4,5,6,maybe\n"
    result = stored(tmp_path, text)
    part = pq.read_table(destination(tmp_path).part)
    assert part.select(["corporation", "exited", "_delivery", "_line"]).to_pylist() == [
        {"corporation": "acme", "exited": 0, "_delivery": 7, "_line": 2},
        {"corporation": "gamma", "exited": None, "_delivery": 7, "_line": 5},
    ]
    held = [(each.row.line, each.row.text, each.kept) for each in held_rows(destination(tmp_path).quarantine)]
    assert held == [(3, "beta,x,2,3,1", False), (5, "gamma,4,5,6,maybe", True)]
    assert (result.rows, result.valid, result.quarantined, result.unlabelled) == (3, 2, 1, 1)
    assert result.header == BRIEF_SCHEMA.names
    assert result.digest == hashlib.sha256(text.encode()).hexdigest()
    assert [row.line for row in result.shown] == [3]


LINES = st.lists(
    st.sampled_from(
        ["acme,1,2,3,0", "erased,1,2,3,0", "e\u0301,1,2,3,1", "x,1,2,3,perhaps", "x,1,2,3,", "x,-1,2,3,0", "x", '"x,1']
    ),
    max_size=30,
)


@settings(deadline=None)
@given(LINES, st.booleans(), st.integers(len(HEADER), len(HEADER) + 30))
def test_every_row_is_valid_quarantined_erased_or_repeated(
    tmp_path_factory: pytest.TempPathFactory, delivered: list[str], again: bool, block: int
) -> None:
    folder = tmp_path_factory.mktemp("stored")
    passing = erasing("erased", "nobody")
    if again:
        passing = Passing(erased=passing.erased, refused_before=KnownTexts.of(["x,-1,2,3,0", "x"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        try:
            result = stored(folder, HEADER + "".join(f"{line}\n" for line in delivered), passing)
        except FileRefused:
            return
    held = list(held_rows(destination(folder).quarantine))
    assert result.rows == len(delivered)
    assert result.rows == result.valid + result.quarantined + result.erased + result.repeated
    assert result.valid == pq.read_metadata(destination(folder).part).num_rows
    assert result.quarantined == sum(not each.kept for each in held)
    assert result.erased == delivered.count("erased,1,2,3,0")
    assert result.repeated == (delivered.count("x,-1,2,3,0") + delivered.count("x") if again else 0)
    clients = pq.read_table(destination(folder).part).column("corporation").to_pylist()
    assert "erased" not in clients


def test_no_rows_are_an_empty_part_and_a_notice(tmp_path: Path) -> None:
    result = stored(tmp_path, HEADER)
    assert pq.read_table(destination(tmp_path).part).num_rows == 0
    assert list(held_rows(destination(tmp_path).quarantine)) == []
    assert result.notices == ("a.csv: a header and no rows",)


def test_only_the_first_refused_rows_are_shown_and_all_are_kept(tmp_path: Path) -> None:
    result = stored(tmp_path, HEADER + "good,1,2,3,0\n" + "bad,x,2,3,0\n" * 50)
    assert len(result.shown) == SHOWN_REJECTS
    assert result.quarantined == len(list(held_rows(destination(tmp_path).quarantine))) == 50


def test_client_ids_that_look_alike_are_told_and_kept_apart(tmp_path: Path) -> None:
    result = stored(tmp_path, HEADER + "caf\u00e9,1,2,3,0\ncafe\u0301,1,2,3,0\n")
    assert pq.read_table(destination(tmp_path).part).column("corporation").to_pylist() == ["caf\u00e9", "cafe\u0301"]
    (notice,) = result.notices
    assert notice.startswith("a.csv: 1 client id is not in Unicode's composed form")


def test_rows_of_erased_clients_are_counted_and_told(tmp_path: Path) -> None:
    result = stored(tmp_path, HEADER + "acme,1,2,3,0\nbeta,1,2,3,1\nacme,4,5,6,1\n", erasing("acme"))
    assert (result.rows, result.valid, result.erased) == (3, 1, 2)
    assert result.notices == ("a.csv: 2 rows of erased clients were left out",)


def test_progress_tells_the_rows_read_so_far(tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", 200)
        text = HEADER + "acme,1,2,3,0\n" * 100
        store(csv_file(text), BRIEF_SCHEMA, destination(tmp_path), Passing(), told.append)
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == 100


class Miscounted:
    """A delivery that claims more rows than it gives."""

    name = "a.csv"
    header = BRIEF_SCHEMA.names
    notices: tuple[str, ...] = ()
    rows = 5
    digest = "0" * 64

    def __iter__(self) -> Iterator[ParsedBatch]:
        yield from csv_file(HEADER + "acme,1,2,3,0\n")


def test_rows_that_are_not_accounted_for_are_a_bug(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=r"5 rows read, 1 \+ 0 \+ 0 \+ 0 accounted for") as caught:
        store(Miscounted(), BRIEF_SCHEMA, destination(tmp_path), Passing(), nothing)
    assert caught.value.exit_status == 70


def test_an_empty_text_column_has_no_decomposed_ids(tmp_path: Path) -> None:
    assert stored(tmp_path, HEADER + "x,-1,2,3,0\n").notices == ()
    assert pa.types.is_string(pq.read_schema(destination(tmp_path).part).field("corporation").type)
