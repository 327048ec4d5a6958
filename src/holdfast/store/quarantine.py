"""Refused rows, kept with their place and original text: one Parquet file per delivery."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast.records import RejectedRow, to_json

COLUMNS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("rule", pa.string()),
        ("text", pa.string()),
    ]
)


class QuarantineWriter:
    """Writes refused rows as they come, so that memory does not grow with them; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, COLUMNS, compression="zstd")
        self.rows = 0

    def __enter__(self) -> QuarantineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, rejected: Sequence[RejectedRow]) -> None:
        """Keep some refused rows."""
        if rejected:
            self._writer.write_table(pa.Table.from_pylist([to_json(row) for row in rejected], COLUMNS))
            self.rows += len(rejected)


def missing_by_column(paths: Sequence[Path]) -> dict[str, int]:
    """How many rows of these quarantine files were refused because a column was empty."""
    counts: dict[str, int] = {}
    for path in paths:
        table = pq.read_table(path, columns=["column", "rule"])
        missing = table.filter(pc.equal(table.column("rule"), "missing")).column("column")
        for entry in pc.value_counts(missing).to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return counts
