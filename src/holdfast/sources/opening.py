"""A delivery of any kind, opened: CSV, compressed CSV, Parquet or Excel, told apart by name and first bytes."""

from __future__ import annotations

from typing import BinaryIO

from holdfast.sources.csvfile import CsvFile
from holdfast.sources.files import read_block
from holdfast.sources.kinds import kind_of_name, refuse_other_kind
from holdfast.sources.parsed import Delivered, Reading
from holdfast.sources.unpacking import Hashed, Unpacked

LONGEST_MARK = 8


def open_delivery(stream: BinaryIO, name: str, reading: Reading) -> Delivered:
    """The delivery in `stream`, which is at its start; a name of no known kind is read as CSV.

    Raises FileRefused when its first bytes are those of another kind, or its columns are not the schema's.
    """
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
