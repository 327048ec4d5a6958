"""The demo company's files: practice data, test data and source data of any size, the same for the same seed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import CannotWrite, UsageError
from holdfast.progress import Progress, silent
from holdfast.records import DemoRecord
from holdfast.risk.democompany import (
    REGIONS,
    SEGMENTS,
    Cohort,
    Columns,
    client_codes,
    code_width,
    earlier_rows,
    later_rows,
    mixed_rows,
    snapshot_dates,
)
from holdfast.store.files import replacing

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

RowsOf = Callable[[Cohort, int], Columns]
"""Makes the rows of one chunk of a cohort."""

SMALLEST = 100
REPEATED_SHARE = 0.005
"""Share of a file's rows that the next export repeats."""

_CHUNK_ROWS = 100_000
_FIRST_COLUMNS = ("corporation", "lastmonth_activity", "lastyear_activity", "number_of_employees")
_EXTENSION = ("region", "segment", "contract_value", "tenure_months", "snapshot_date")
_COLUMNS = (*_FIRST_COLUMNS, "exited")
_EXTENDED_COLUMNS = (*_FIRST_COLUMNS, *_EXTENSION, "exited")
_TRUTH_COLUMNS = ("corporation", "probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The demo company's size and shape: `rows` clients per period, delivered in `files` files.

    `extended` adds region, segment, contract_value, tenure_months and snapshot_date before `exited`. `truth` writes
    each row's true probability of exit beside the data. Raises UsageError for what cannot be made.
    """

    rows: int = 10_000
    files: int = 2
    seed: int = 1
    extended: bool = False
    truth: bool = False

    def __post_init__(self) -> None:
        if self.rows < SMALLEST:
            raise UsageError(f"the demo company has at least {SMALLEST} clients", value=str(self.rows))
        if not 1 <= self.files <= self.rows:
            hint = f"choose from 1 to {self.rows}: every file has at least one client"
            raise UsageError(
                f"{self.rows} clients cannot be split into so many files", value=str(self.files), hint=hint
            )
        if self.seed < 0:
            raise UsageError("the seed must not be negative", value=str(self.seed))

    @property
    def total_rows(self) -> int:
        """Rows in all files together, repeated ones included.

        >>> DemoOptions(rows=10_000).total_rows
        22050
        """
        return sum(file.rows for file in _plan(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file to be: the rows `start` to `stop` of what `rows_of` makes of a cohort, chunk by chunk."""

    name: str
    rows_of: RowsOf
    cohort: Cohort
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


def write_demo(folder: Path, options: DemoOptions, progress: Progress = silent) -> DemoRecord:
    """Write practicedata/, testdata/ and sourcedata/ below `folder`, each file whole or not at all.

    What the data means, and the formula behind it, is told in `holdfast.risk.democompany`. Practice data is the
    earlier period; source data is the later one, with the same clients except those that exited. A test client is in
    neither, and test data comes from both periods in equal parts. Each later file of a period begins with the last
    0.5 % of the rows of the file before it, as overlapping exports do. The same seed gives the same clients however
    many files there are, and the same bytes every time. Memory does not grow with `rows`.

    `truth` in the options writes truth/<folder>/<file> with the columns corporation and probability, line by line
    beside the data.

    Raises CannotWrite when one of the files exists already (nothing is written then) or the disk is full, and
    NotPermitted where access is denied.
    """
    started = time.perf_counter()
    plan = _plan(options)
    _refuse_to_overwrite(folder, plan, truth=options.truth)
    width = code_width(2 * (options.rows + options.rows // 5))

    @lru_cache(maxsize=2)  # neighbouring files share a chunk
    def table_of(rows_of: RowsOf, cohort: Cohort, chunk: int) -> pa.Table:
        return _table(rows_of(cohort, chunk), width, options.seed)

    exited, written, total = {}, 0, options.total_rows
    for file in plan:
        exited[file.name] = 0
        with _csv_files(folder, file.name, options) as write:
            for table in _tables(file, table_of):
                write(table)
                exited[file.name] += table["exited"].to_numpy().sum()
                written += table.num_rows
                progress("writing the demo company", written, total)
    return DemoRecord(
        folder=str(folder),
        files={file.name: file.rows for file in plan},
        exited={file.name: float(exited[file.name] / file.rows) for file in plan},
        seconds=time.perf_counter() - started,
    )


def _plan(options: DemoOptions) -> tuple[_File, ...]:
    clients = _cohort(options, stream=0, size=options.rows, first_number=0)
    held_out = _cohort(options, stream=1, size=options.rows // 5, first_number=2 * options.rows)
    test = _File(name="testdata/testdata.csv", rows_of=mixed_rows, cohort=held_out, start=0, stop=held_out.size)
    bounds = [number * options.rows // options.files for number in range(options.files + 1)]
    repeated = [0] + [round(REPEATED_SHARE * (stop - start)) for start, stop in pairwise(bounds)]
    plan: list[_File] = []
    for folder, rows_of in (("practicedata", earlier_rows), ("sourcedata", later_rows)):
        for (start, stop), repeat in zip(pairwise(bounds), repeated, strict=False):
            name = f"{folder}/dataset{len(plan) + 1}.csv"
            plan.append(_File(name=name, rows_of=rows_of, cohort=clients, start=start - repeat, stop=stop))
    return (*plan, test)


def _cohort(options: DemoOptions, *, stream: int, size: int, first_number: int) -> Cohort:
    return Cohort(
        seed=options.seed,
        stream=stream,
        size=size,
        first_number=first_number,
        chunk_rows=_CHUNK_ROWS,
        extended=options.extended,
    )


def _refuse_to_overwrite(folder: Path, plan: tuple[_File, ...], *, truth: bool) -> None:
    names = [file.name for file in plan]
    names += [f"truth/{name}" for name in names if truth]
    present = [folder / name for name in names if os.path.lexists(folder / name)]
    if present:
        others = f", and {len(present) - 1} more of the demo company's files" if len(present) > 1 else ""
        hint = "choose another folder, or move these files away; nothing was written"
        raise CannotWrite(f"this file exists already{others}", file=str(present[0]), hint=hint)


def _tables(file: _File, table_of: Callable[[RowsOf, Cohort, int], pa.Table]) -> Iterator[pa.Table]:
    """The file's rows, cut out of the chunks that hold them."""
    size = file.cohort.chunk_rows
    for chunk in range(file.start // size, (file.stop - 1) // size + 1):
        start = max(file.start - chunk * size, 0)
        stop = min(file.stop - chunk * size, size)
        yield table_of(file.rows_of, file.cohort, chunk).slice(start, stop - start)


def _table(rows: Columns, width: int, seed: int) -> pa.Table:
    """The rows as an Arrow table: every column of the files, and the true probability."""
    import pyarrow as pa

    columns = {name: values for name, values in rows.items() if name in _EXTENDED_COLUMNS}
    columns["corporation"] = _strings(client_codes(rows["number"], width, seed))
    if "region" in rows:
        columns["region"] = pa.array(REGIONS).take(pa.array(rows["region"]))
        columns["segment"] = pa.array(SEGMENTS).take(pa.array(rows["segment"]))
        columns["snapshot_date"] = snapshot_dates(rows["snapshot_month"])
    return pa.table(columns | {"probability": rows["probability"]})


def _strings(letters: npt.NDArray[np.uint8]) -> pa.Array:
    """An Arrow array of strings from their ASCII letters (n, width)."""
    import pyarrow as pa

    n, width = letters.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(letters))


@contextmanager
def _csv_files(folder: Path, name: str, options: DemoOptions) -> Iterator[Callable[[pa.Table], None]]:
    """A function that adds a table to the data file and, where wanted, to the truth beside it."""
    contents: dict[Path, tuple[str, ...]] = {folder / name: _EXTENDED_COLUMNS if options.extended else _COLUMNS}
    if options.truth:
        contents[folder / "truth" / name] = _TRUTH_COLUMNS
    with ExitStack() as stack:
        writers = [stack.enter_context(_csv_file(path, columns)) for path, columns in contents.items()]

        def write(table: pa.Table) -> None:
            for add in writers:
                add(table)

        yield write


@contextmanager
def _csv_file(path: Path, columns: tuple[str, ...]) -> Iterator[Callable[[pa.Table], None]]:
    from pyarrow import csv

    form = csv.WriteOptions(include_header=False, quoting_style="none")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write((",".join(columns) + "\n").encode())
        yield lambda table: csv.write_csv(table.select(columns), stream, form)
