"""How ingestion reads cells that are no text: an id is what it made of them, so that is what has to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa

SheetRows = Iterator[tuple[int, Mapping[int, str]]]
"""The number of each row that is not empty, and its cells by the number of their column; both from 1."""


class CellReader(Protocol):
    """What ingestion makes of typed cells."""

    def texts(self, cells: pa.Array) -> pa.Array | None:
        """The texts (n,) of a column's cells; None where ingestion reads no cells of this type."""

    def sheets(self, path: Path, /) -> Iterator[tuple[str, SheetRows]]:
        """The part of each sheet of a workbook, and its rows. Raises Opaque for a workbook that cannot be read."""


class PlainCells:
    """Cells as Arrow writes them, for files that Holdfast wrote itself; no workbooks. It meets `CellReader`."""

    def texts(self, cells: pa.Array) -> pa.Array | None:
        """As Arrow casts them."""
        try:
            return cells.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    def sheets(self, _path: Path, /) -> Iterator[tuple[str, SheetRows]]:
        """None."""
        return iter(())
