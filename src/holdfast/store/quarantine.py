"""Refused rows, kept with their place and original text: Parquet files, one or two per delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.errors import InputOutputError
from holdfast.records import RejectedRow, to_json

COLUMNS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("rule", pa.string()),
        ("text", pa.string()),
        ("kept", pa.bool_()),
    ]
)
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row in quarantine; `kept` rows were taken without the cell in question."""

    row: RejectedRow
    kept: bool


class QuarantineWriter:
    """Writes refused rows as they come, so that memory does not grow with them; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, COLUMNS, compression="zstd", write_statistics=False)
        self.rows = 0

    def __enter__(self) -> QuarantineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, rejected: Sequence[RejectedRow], *, kept: bool = False) -> None:
        """Keep some refused rows; or, `kept`, rows that were taken without a cell, which are not counted."""
        if rejected:
            entries = [to_json(row) | {"kept": kept} for row in rejected]
            self._writer.write_table(pa.Table.from_pylist(entries, COLUMNS))
            self.rows += 0 if kept else len(rejected)


def contradictions_beside(path: Path) -> Path:
    """Where the rows of a delivery are kept that contradict earlier ones: beside its other refused rows."""
    return path.with_suffix(".conflicts.parquet")


def held_rows(path: Path) -> Iterator[HeldRow]:
    """The rows that the quarantine file at `path` and the one beside it hold; none where there is no file."""
    for file in (path, contradictions_beside(path)):
        if file.is_file():
            with _explained(file):
                for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
                    for entry in batch.to_pylist():
                        kept = entry.pop("kept", False)  # the first version of Holdfast had none
                        yield HeldRow(RejectedRow(**entry), kept)


def missing_by_column(paths: Sequence[Path]) -> dict[str, int]:
    """How many rows of these quarantine files were refused because a column was empty."""
    counts: dict[str, int] = {}
    for path in paths:
        with _explained(path):
            table = pq.read_table(path, columns=["column", "rule"])
            missing = table.filter(pc.equal(table.column("rule"), "missing")).column("column")
            for entry in pc.value_counts(missing).to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return counts


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, ValueError, TypeError, KeyError) as error:  # the last three: of its entries
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "restore this file from a backup, or remove it: only refused rows are in it"
        raise InputOutputError(f"the refused rows cannot be read: {reason}", file=str(path), hint=hint) from error
