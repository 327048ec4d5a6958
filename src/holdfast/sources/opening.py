"""A delivery of any kind, opened: CSV, compressed CSV, Parquet or Excel, told apart by name and first bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from holdfast.schema import RESERVED, Column, Schema
from holdfast.sources.csvfile import CsvFile
from holdfast.sources.files import read_block
from holdfast.sources.kinds import kind_of_name, refuse_other_kind
from holdfast.sources.labels import Labelled
from holdfast.sources.parsed import WHOLE_TABLE, DeliveredFile, Reading
from holdfast.sources.unpacking import Hashed, Unpacked

LONGEST_MARK = 8


def open_delivery(stream: BinaryIO, name: str, reading: Reading) -> DeliveredFile:
    """The delivery in `stream`, which is at its start; a name of no known kind is read as CSV.

    Under the schema WHOLE_TABLE every column is read as text, but for those that no schema can name.
    Raises FileRefused when its first bytes are those of another kind, or its columns are not the schema's; reading
    the last rows raises it when no label can be read.
    """
    if reading.schema == WHOLE_TABLE:
        names = _open(stream, name, reading).names
        columns = tuple(
            Column(name=column, role="ignored", type="text", missing_allowed=True)
            for column in names
            if can_be_named(column)
        )
        reading = replace(reading, schema=Schema(columns=columns))
        stream.seek(0)
    delivered = _open(stream, name, reading)
    labelled = [column.name for column in reading.schema.columns if column.role == "target"]
    return Labelled(delivered, labelled[0]) if labelled and reading.target_required else delivered


def can_be_named(column: str) -> bool:
    """True if a schema can have a column of this name: it has one, and Holdfast does not use it itself.

    >>> can_be_named("visits"), can_be_named(""), can_be_named("_line")
    (True, False, False)
    """
    return bool(column) and column.casefold() not in RESERVED


def _open(stream: BinaryIO, name: str, reading: Reading) -> DeliveredFile:
    kind = kind_of_name(name) or "csv"
    refuse_other_kind(kind, read_block(stream, name, LONGEST_MARK), name)
    stream.seek(0)
    if kind == "parquet":
        from holdfast.sources.parquetfile import ParquetDelivery

        return ParquetDelivery(stream, name, reading)
    if kind == "excel":
        from holdfast.sources.excelfile import ExcelDelivery

        return ExcelDelivery(stream, name, reading)
    unpacked = Unpacked(stream, name, reading.limits) if kind == "gzip" else Hashed(stream, name)
    return CsvFile(unpacked, name, reading)
