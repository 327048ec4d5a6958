"""The dataset in statistics."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.records.watching import ColumnSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSummary:
    """Statistics of every column of the dataset at a version."""

    source: str
    version: int | None
    rows: int
    columns: tuple[ColumnSummary, ...]
    seconds: float
