"""What kind of file a delivery is: its name says so, and its first bytes have to agree."""

from __future__ import annotations

import codecs
from typing import Literal

from holdfast.errors import FileRefused, excerpt

Kind = Literal["csv", "gzip", "parquet", "excel"]

ENDINGS: dict[str, Kind] = {".csv": "csv", ".csv.gz": "gzip", ".parquet": "parquet", ".xlsx": "excel"}
MARKS: dict[Kind, bytes] = {"gzip": b"\x1f\x8b", "parquet": b"PAR1"}
NAMES: dict[Kind, str] = {"gzip": "a gzip archive", "parquet": "a Parquet file"}

# What a file that is not CSV begins with, blanks aside, and what it then probably is.
KNOWN_BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x80", "a Python pickle"),
    (b"<", "an HTML or XML page"),
    (b'{"', "a JSON document"),
    (b"{}", "a JSON document"),
    (b'[{"', "a JSON document"),
)
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def kind_of_name(name: str) -> Kind | None:
    """The kind that a file's name tells, or None where it is not one that Holdfast reads.

    >>> kind_of_name("March.CSV.gz"), kind_of_name("notes.txt")
    ('gzip', None)
    """
    return next((kind for ending, kind in ENDINGS.items() if name.lower().endswith(ending)), None)


def refuse_other_kind(kind: Kind, beginning: bytes, name: str) -> None:
    """Raises FileRefused when a Parquet or gzip file does not begin as such a file does.

    Reading a workbook tells for itself what else it may be.
    """
    if kind in MARKS and not beginning.startswith(MARKS[kind]):
        shown = excerpt(beginning[:8].decode("latin-1"))
        raise FileRefused(f"not {NAMES[kind]}: begins with '{shown}'", file=name, hint="name it for what it is")


def refuse_what_is_not_csv(beginning: bytes, name: str) -> None:
    """Raises FileRefused, naming what it looks like, when a file does not begin as CSV text does."""
    if beginning.startswith(UTF16_MARKS):
        raise FileRefused("this is UTF-16 text", file=name, hint="save it as CSV UTF-8, then deliver it again")
    start = beginning.removeprefix(codecs.BOM_UTF8).lstrip()
    for mark, what in KNOWN_BEGINNINGS:
        if start.startswith(mark) or b"".join(start[:40].split()).startswith(mark):
            shown = excerpt(start[:8].decode("latin-1"))
            hint = "export it as CSV UTF-8, or name it for what it is"
            raise FileRefused(f"not CSV: begins with '{shown}', {what}", file=name, hint=hint)
    if b"\0" in beginning[:4] and len(beginning) > 1:
        raise FileRefused("this looks like UTF-16 or binary data", file=name, hint="save it as CSV UTF-8")
