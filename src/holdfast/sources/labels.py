"""A delivery whose labels mean something: that none of many can be read is a fault of the file, not of its rows."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.errors import FileRefused
from holdfast.records import RejectedRow
from holdfast.sources.parsed import DeliveredFile, ParsedBatch

MANY = 10
"""Fewer labels that cannot be read may be slips."""


class Labelled:
    """A delivery as another reads it; it meets `DeliveredFile`. `target` is the column of labels.

    Its last batch is followed by FileRefused when there are MANY labels or more and none is one of the schema's two:
    taken without them, its rows would take the place of rows whose labels are known.
    """

    def __init__(self, delivered: DeliveredFile, target: str) -> None:
        self._delivered = delivered
        self._target = target
        self.name = delivered.name
        self.header = delivered.header
        self.names = delivered.names
        self.notices = delivered.notices
        self.rows = delivered.rows

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes that were read."""
        return self._delivered.digest

    def __iter__(self) -> Iterator[ParsedBatch]:
        readable = strange = 0
        example: RejectedRow | None = None
        for parsed in self._delivered:
            readable += len(parsed.rows) - parsed.rows.column(self._target).null_count
            strange += len(parsed.unlabelled)
            example = example or next(iter(parsed.unlabelled), None)
            self.rows = self._delivered.rows
            yield parsed
        self.notices = self._delivered.notices
        if example and not readable and strange >= MANY:
            raise self._foreign(strange, example)

    def _foreign(self, strange: int, example: RejectedRow) -> FileRefused:
        return FileRefused(
            f"none of its {strange:,} labels can be read; this one is {example.rule}",
            file=self.name,
            row=example.line,
            column=self._target,
            value=example.text,
            hint="write them as the schema does (holdfast schema show), or change 'target' of the schema",
        )
