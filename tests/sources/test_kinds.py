"""What kind of file a delivery is: its name and its first bytes have to agree."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from holdfast.errors import FileRefused
from holdfast.sources.kinds import ENDINGS, MARKS, Kind, kind_of_name, refuse_other_kind, refuse_what_is_not_csv

TABLE = b"corporation,exited\nacme,0\n"


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.csv", TABLE)
    return stream.getvalue()


@pytest.mark.parametrize(("ending", "kind"), ENDINGS.items())
def test_the_end_of_a_name_tells_the_kind_in_any_case(ending: str, kind: Kind) -> None:
    for name in (f"march{ending}", f"MARCH{ending.upper()}", f"a.b{ending}"):
        assert kind_of_name(name) == kind


@pytest.mark.parametrize("name", ["march", "csv", "march.csv.zip", "march.gz", "march.xls", "march.csv ", "march.tsv"])
def test_another_end_is_no_kind(name: str) -> None:
    assert kind_of_name(name) is None


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (zipped(), "a zip archive"),
        (gzip.compress(TABLE), "a gzip archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x80\x05\x95", "a Python pickle"),
        (b"<!DOCTYPE html>", "an HTML or XML page"),
        (b"\xef\xbb\xbf\n  <html>", "an HTML or XML page"),
        (b'{"corporation": "acme"}', "a JSON document"),
        (b'[\n  {"corporation": "acme"}]', "a JSON document"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_format_that_is_called_csv_is_named(data: bytes, what: str) -> None:
    with pytest.raises(FileRefused) as caught:
        refuse_what_is_not_csv(data, "march.csv")
    assert caught.value.message.startswith("not CSV: begins with '")
    assert what in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("data", [TABLE, b"\xef\xbb\xbf" + TABLE, b"", b"\n\n" + TABLE, b"a", b"\0"])
def test_what_may_be_csv_is_not_refused_by_its_beginning(data: bytes) -> None:
    refuse_what_is_not_csv(data, "march.csv")


@pytest.mark.parametrize("kind", MARKS)
@pytest.mark.parametrize("data", [TABLE, b"", b"\x1b[31m", b"<html>"])
def test_a_file_that_does_not_begin_as_its_name_says_is_refused(kind: Kind, data: bytes) -> None:
    with pytest.raises(FileRefused, match="begins with") as caught:
        refuse_other_kind(kind, data, "march")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(("kind", "mark"), MARKS.items())
def test_the_mark_of_a_kind_is_enough_at_first(kind: Kind, mark: bytes) -> None:
    refuse_other_kind(kind, mark, "march")


def test_csv_has_no_mark() -> None:
    refuse_other_kind("csv", b"", "march.csv")
