"""What a reading process is asked about a file that may be a stranger's: to search it, to clean it, to say what it is.

Nothing here is imported by the command that asks; `apart.py` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.errors import FileRefused
from holdfast.limits import Limits
from holdfast.sources.typed import BOOLEANS, as_text, can_be_text
from holdfast.store.scrubbing import clean, holds
from holdfast.store.scrubbing.cells import SheetRows
from holdfast.store.scrubbing.kinds import Opaque, explained
from holdfast.store.scrubbing.mention import Erasure, Mention


@dataclass(frozen=True, slots=True)
class DeliveredCells:
    """Cells as ingestion reads them, within its limits. It meets `CellReader`."""

    limits: Limits

    def texts(self, cells: pa.Array) -> pa.Array | None:
        """See `as_text`."""
        return as_text(cells, "", "") if can_be_text(cells.type) else None

    def sheets(self, path: Path, /) -> Iterator[tuple[str, SheetRows]]:
        """See `Workbook`."""
        from holdfast.sources.workbook import Workbook

        try:
            with path.open("rb") as stream:
                book = Workbook(stream, path.name, self.limits)
                for sheet in book.sheets:
                    rows = book.rows(sheet)
                    yield sheet.part, ((line, {at: _written(cell) for at, cell in row.items()}) for line, row in rows)
        except FileRefused as error:
            raise Opaque(error.message, file=str(path), hint=error.hint) from error


def mentioned(path: str, erasure: Mapping[str, Any]) -> bool:
    """Whether the file holds the client. What it raises is told as an error of the file."""
    return holds(Path(path), erasure_in(erasure))


def cleaned(path: str, erasure: Mapping[str, Any]) -> int | None:
    """See `clean`; the cleaned file is written where the erasure says."""
    return clean(Path(path), erasure_in(erasure))


def columns_of(path: str) -> list[str]:
    """The names of the columns of a Parquet file."""
    with explained(Path(path)):
        return list(pq.read_schema(path).names)


def is_copy_of_ledger(path: str) -> bool:
    """Whether an SQLite file is a copy of the ledger."""
    from holdfast.store.ledgercopies import is_ledger

    return is_ledger(Path(path))


def is_record(path: str) -> bool:
    """Whether a JSON file holds a record that Holdfast printed."""
    from holdfast.erasing.places import is_printed

    return is_printed(Path(path))


def words_of_erasure(erasure: Erasure, limits: Limits) -> dict[str, Any]:
    """An erasure as it is told to a reading process."""
    return {
        "client": erasure.mention.client,
        "columns": sorted(erasure.columns),
        "own": erasure.own,
        "into": None if erasure.into is None else str(erasure.into),
        "headers": sorted(erasure.headers),
        "copies": None if erasure.copies is None else str(erasure.copies),
        "limits": {name: getattr(limits, name) for name in limits.__slots__},
    }


def erasure_in(words: Mapping[str, Any]) -> Erasure:
    """What `words_of_erasure` told."""
    return Erasure(
        mention=Mention(words["client"]),
        columns=frozenset(words["columns"]),
        own=words["own"],
        into=None if words["into"] is None else Path(words["into"]),
        headers=frozenset(map(tuple, words["headers"])),
        cells=DeliveredCells(Limits(**words["limits"])),
        copies=None if words["copies"] is None else Path(words["copies"]),
    )


def _written(cell: str | bool) -> str:
    return BOOLEANS[not cell] if isinstance(cell, bool) else cell
