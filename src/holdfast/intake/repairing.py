"""Refused rows get new texts: those that somebody changed in a corrected table are found, and all or none are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa

from holdfast.errors import FileRefused, UsageError, excerpt
from holdfast.intake.erased import erased_clients
from holdfast.intake.storing import are_of_erased
from holdfast.records import QuarantineAct, QuarantineDone, QuarantinedRow, RejectedRow, SourceFile
from holdfast.render.words import count
from holdfast.schema import Schema
from holdfast.session import Session, utc_now
from holdfast.sources.casting import cast
from holdfast.sources.corrections import ChangedCell, Corrections, changed_cells
from holdfast.sources.repaired import BATCH_ROWS, RepairedRows, RowText
from holdfast.store.tombstones import Tombstones
from holdfast.workspace import current_user

SHOWN_IDS = 100
"""Of so many rows the ids are told."""

NEXT = "holdfast quarantine replay takes repaired rows in"
WHOLE_ROW = "whole rows"


class Corrected:
    """The rows of a delivery that somebody changed in a corrected table. `columns` counts what was changed in them, and
    `taken` the rows that were taken in already, once all were gone through.
    """

    def __init__(self, file: SourceFile, corrections: Corrections, schema: Schema) -> None:
        self.columns: Counter[str] = Counter()
        self.taken = 0
        self._file = file
        self._corrections = corrections
        self._schema = {column.name: column for column in schema.columns}

    def among(self, refused: Iterable[QuarantinedRow]) -> Iterator[RowText]:
        """The new texts of those of the `refused` rows that were changed.

        Those that were taken in already are passed over: an older table may still have them. Raises FileRefused for a
        row of the table that is none of the refused ones, and for letters that the table's encoding may have changed.
        """
        for row in refused:
            cells = None if row.kept else self._corrections.cells(row.line)
            if cells is not None and row.state == "replayed":
                self.taken += 1
            elif cells is not None:
                text, changes = self._changed(cells, row.repaired or row.text)
                as_delivered = row.repaired and not self._changed(cells, row.text)[1]
                if changes and not as_delivered:
                    self._refuse_uncertain(row.line, changes)
                    self.columns.update(change.column or WHOLE_ROW for change in changes)
                    yield RowText(row.line, text)
        self._corrections.refuse_others(self._file.name)

    def notices(self) -> tuple[str, ...]:
        """What the reader of the record should know: how the table was read, and in which columns cells were changed,
        as a spreadsheet program may have changed some of them unasked.
        """
        counts = ", ".join(f"{excerpt(column)} ({rows:,})" for column, rows in self.columns.most_common())
        taken = count(self.taken, "row of the table was", "rows of the table were")
        return (
            *self._corrections.notices,
            *([f"changed, by column: {counts}"] if counts else []),
            *([f"{taken} taken in before, and left as it is in the dataset"] if self.taken else []),
        )

    def _changed(self, cells: Sequence[str], text: str) -> tuple[str, tuple[ChangedCell, ...]]:
        return changed_cells(cells, text, self._file.header, self._breaks)

    def _breaks(self, column: str, cell: str) -> bool:
        """True if a cell breaks a rule of the schema."""
        known = self._schema.get(column)
        return known is not None and bool(cast(pa.array([cell]), known).broken)

    def _refuse_uncertain(self, line: int, changes: Iterable[ChangedCell]) -> None:
        for change in changes:
            if not (self._corrections.exact or change.before.isascii()):
                raise FileRefused(
                    f"'{excerpt(change.before)}' became '{excerpt(change.after)}', perhaps by the file's encoding",
                    file=self._corrections.name,
                    row=self._corrections.row(line),
                    column=change.column,
                    hint="save it as CSV UTF-8, or as .xlsx; nothing was changed",
                )


def refuse_taken(row: QuarantinedRow) -> None:
    """Raises UsageError for a row that was taken in: it is part of the dataset and no longer to be repaired."""
    if row.state == "replayed":
        hint = "deliver the file again, corrected: its rows then take the place of these"
        raise UsageError(f"row {row.id} was taken in already", hint=hint)


def keep_repairs(
    session: Session, file: SourceFile, texts: Iterable[RowText], table: Corrections | None = None
) -> QuarantineDone:
    """Keep the new texts of a delivery's rows, if every one of them keeps the schema; where not, or where `texts`
    raises, none is kept.

    Raises UsageError that names the first row that would still be refused, and its place in the `table`, if any; and
    for a row that would be that of an erased client.
    """
    kept: list[str] = []
    rows = 0
    erased = erased_clients(session).recogniser()
    actor, now = current_user(), utc_now()

    def repairs() -> Iterator[QuarantineAct]:
        nonlocal rows
        refused: list[RejectedRow] = []
        refusals = 0
        remaining = iter(texts)
        while some := list(islice(remaining, BATCH_ROWS)):
            if erased is not None:
                _refuse_erased(session, file, some, erased, table)
            check = checked(session, file, some)
            refused += check.refused
            refusals += check.refusals
            rows += len(some)
            session.progress(f"checking rows of {file.name}", rows, None)
            kept.extend(f"{file.number}:{row.line}" for row in some[: SHOWN_IDS - len(kept)])
            yield from (_repair_of(file, row, actor, now) for row in some)
        if refused:
            raise _still_refused(file, refused[0], refusals, table)

    session.ledger.record_acts(session.run_id, repairs())
    return QuarantineDone(act="repaired", rows=rows, ids=tuple(kept), notices=(), next=NEXT)


def _refuse_erased(
    session: Session, file: SourceFile, texts: Sequence[RowText], erased: Tombstones, table: Corrections | None
) -> None:
    """Raises UsageError for a row that names an erased client, without the id: the ledger would hold it again."""
    client = session.workspace.schema.client.name
    theirs = are_of_erased([row.text for row in texts], file.header, client, erased)
    if theirs.any():
        row = texts[int(theirs.argmax())]
        raise UsageError(
            f"row {file.number}:{row.line} would be that of a client who was erased",
            file=None if table is None else table.name,
            row=None if table is None else table.row(row.line),
            hint="nothing was changed; write another id, or let the row go (holdfast quarantine waive); holdfast erase "
            "--undo takes an erased client in again",
        )


def checked(session: Session, file: SourceFile, texts: Iterable[RowText]) -> RepairedRows:
    """Texts of a delivery's rows, gone through: which of them keep the schema, and which do not."""
    workspace = session.workspace
    longest = workspace.limits.field_characters
    rows = RepairedRows(texts, file.header, file.name, workspace.schema, file.digest, longest=longest)
    for _ in rows:
        pass
    return rows


def _repair_of(file: SourceFile, row: RowText, actor: str, now: str) -> QuarantineAct:
    return QuarantineAct(
        delivery=file.number,
        line=row.line,
        act="repaired",
        text=row.text,
        reason=None,
        replayed_as=None,
        actor=actor,
        created=now,
    )


def _still_refused(file: SourceFile, row: RejectedRow, refusals: int, table: Corrections | None) -> UsageError:
    where = f"column {row.column}: " if row.column else ""
    others = f"; so would {refusals - 1:,} other row{'s' * (refusals > 2)}" if refusals > 1 else ""
    return UsageError(
        f"row {file.number}:{row.line} would still be refused: {where}{row.rule}{others}",
        file=None if table is None else table.name,
        row=None if table is None else table.row(row.line),
        hint=f"its text would be: {excerpt(row.text)}; nothing was changed",
    )
