"""One client taken out of every kind of file, and the search for what is left."""

from __future__ import annotations

import csv
import errno
import gzip
import html
import io
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.erasing.tasks import DeliveredCells
from holdfast.errors import CannotWrite, ConfigurationError, InputOutputError, NotPermitted
from holdfast.limits import Limits
from holdfast.store.scrubbing import clean, lines, mention, mentions, traces
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.scrubbing.parquet import parquet_mentions

COLUMNS = frozenset({"corporation", "client"})
PARTS = ("c1-2", "abc1", "c10", "c1_", "c1.5", "xc1", "éc1", "c1é", "cafec1\u0301x")
"""Clients whose ids contain c1."""

WORDS = st.text("ac1_.-é", min_size=1, max_size=4).filter(lambda text: not text.isdigit())
NAMES = st.text("ac1_.-é \"',&<\\/;=\t\n", min_size=1, max_size=5).filter(lambda text: text[0] != "=")
VALUES = st.integers(-9, -1).map(str) | st.sampled_from(["", "n/a", "x y", 'with "quotes"', "two\nlines", "a,b"])


@contextmanager
def file_of(data: bytes, name: str = "file") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def scrub_file(
    path: Path, client: str, columns: frozenset[str], *, own: bool = True, into: Path | None = None, headers: Any = ()
) -> int | None:
    """As an erasure does it, with cells as ingestion reads them."""
    cells = DeliveredCells(Limits())
    return clean(path, Erasure(Mention(client), columns, own, into, frozenset(headers), cells))


def traced(root: Path, client: str, skip: frozenset[str] = frozenset()) -> tuple[Path, ...]:
    return tuple(trace.path for trace in traces(root, client, skip))


def written(tmp_path: Path, data: bytes | str) -> Path:
    path = tmp_path / "file"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def scrubbed(data: bytes | str, client: str = "c1", columns: frozenset[str] = COLUMNS) -> tuple[int | None, bytes]:
    with file_of(data if isinstance(data, bytes) else data.encode()) as path:
        return scrub_file(path, client, columns), path.read_bytes()


def record(row: Sequence[str], end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=quoting).writerow(row)  # type: ignore[arg-type]
    return text.getvalue().encode()


# ---- what a mention is


@pytest.mark.parametrize("part", PARTS)
def test_an_id_inside_a_longer_id_is_no_mention(part: str) -> None:
    assert not Mention("c1").in_text(f"{part},5 {part} {part}")
    assert Mention("c1").in_text(f"{part},5 {part} c1 {part}")


@pytest.mark.parametrize("around", [" ", ",", '"', "'", "\n", "(", "/", "—", "„", "\0", "=", "@", ":", "\ufeff"])
def test_anything_but_a_part_of_a_word_may_stand_around_a_mention(around: str) -> None:
    assert Mention("c1").in_text(f"x{around}c1{around}x")
    assert Mention("c1").in_text("c1")


@given(st.text(max_size=12).filter(bool))
def test_every_writer_s_form_of_an_id_is_a_mention(client: str) -> None:
    found = Mention(client) if client.isprintable() else None
    if found and not found.is_short_number:
        assert found.in_text(json.dumps({"client": client}))
        assert found.in_text(json.dumps({"client": client}, ensure_ascii=False))
        assert found.in_text(json.dumps({"stats": json.dumps({"client": client})}))
        assert found.in_bytes(record(["x", client]))
        page = f"<td>{html.escape(client)}</td>"
        assert found.in_text(page)
        assert found.in_bytes(page.encode("ascii", "xmlcharrefreplace"))


@pytest.mark.parametrize("text", ["c1.csv", "(c1.CSV.gz)", '"c1.parquet",', "c1.xlsx: 3 rows", "see c1.json."])
def test_a_file_that_is_named_after_the_client_is_a_mention(text: str) -> None:
    assert Mention("c1").in_text(text) is not text.endswith(".")


@pytest.mark.parametrize(
    "text", ["we met c1.", "we met c1. They left", '{"told": "we met c1."}', "so c1...\n", "(by c1.)"]
)
def test_a_sentence_may_end_with_the_client(text: str) -> None:
    assert Mention("c1").in_text(text)


@pytest.mark.parametrize("text", ["c1.", "x,c1.,5", '{"client": "c1."}', "x,c1.\r\n", "we met c1.x"])
def test_an_id_that_ends_with_a_dot_is_another_one(text: str) -> None:
    assert not Mention("c1").in_text(text)


@pytest.mark.parametrize("text", ["c1.csvx", "c1.company", "c1.csv-2", "xc1.csv", "c1.5.csv"])
def test_a_longer_name_is_none(text: str) -> None:
    assert not Mention("c1").in_text(text)


@pytest.mark.parametrize("text", [r"text\nc1\n", r"\tc1", "\\u2014c1\\u2014", r"\"c1\"", r"\\\"c1\\\""])
def test_an_escape_counts_as_what_it_stands_for(text: str) -> None:
    assert Mention("c1").in_text(text)


@pytest.mark.parametrize("text", [r"\u00e9c1", r"c1\u00e9", r"c1\\u00e9"])
def test_an_escaped_letter_is_a_letter(text: str) -> None:
    assert not Mention("c1").in_text(text)


def test_occurrences_that_overlap_are_all_judged() -> None:
    assert Mention("a b a").in_text("xa b a b a")


@pytest.mark.parametrize("number", ["7", "42", "1234"])
def test_a_short_number_is_mentioned_only_by_a_whole_field_or_string(number: str) -> None:
    short = Mention(number)
    mentioned = (number, f"{number},5", f"x,{number}\r\n", f'"{number}",5', f'{{"client": "{number}"}}')
    assert all(short.in_text(text) for text in mentioned)
    assert not any(
        short.in_text(text) for text in (f"{number} rows", f'{{"rows": {number}}}', f"1{number},5", f"({number})")
    )


def test_a_longer_number_is_mentioned_like_any_word() -> None:
    assert Mention("12345").in_text("about 12345 we know")


def test_in_json_a_short_number_is_mentioned_by_a_whole_string_only(tmp_path: Path) -> None:
    assert not mentions(written(tmp_path, '{"counts":[1,42,3]}'), "42")
    assert mentions(written(tmp_path, '{"clients":["1","42"]}'), "42")


@pytest.mark.parametrize("client", ["", "\udc80"])
def test_an_id_that_cannot_be_looked_for_is_refused(tmp_path: Path, client: str) -> None:
    path = written(tmp_path, "x")
    for call in (
        lambda: scrub_file(path, client, COLUMNS),
        lambda: mentions(path, client),
        lambda: traced(tmp_path, client),
    ):
        with pytest.raises(ConfigurationError):
            call()


TEXTS = st.lists(st.sampled_from(["c1", "c", "1", '"', "é", "\\u00e9", "\\n", " ", ",", "-", "—", "\n"]), max_size=12)


@given(TEXTS, st.sampled_from(["c1", "1", "é", 'c"1', "c1 c1", "é—"]), st.integers(1, 60))
def test_a_mention_is_found_across_the_borders_of_blocks(pieces: list[str], client: str, block: int) -> None:
    data = "".join(pieces).encode()
    with mock.patch.object(mention, "BLOCK", block):
        assert Mention(client).in_stream(io.BytesIO(data)) == Mention(client).in_bytes(data)
        assert Mention(client).count(io.BytesIO(data)) == len(list(Mention(client).places(data)))


# ---- CSV


@given(
    st.lists(st.tuples(VALUES, NAMES, VALUES), max_size=8),
    NAMES,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(1, 80),
)
def test_exactly_the_client_s_records_leave_a_csv_file(
    rows: list[tuple[str, str, str]], client: str, end: str, quoting: int, block: int
) -> None:
    header = b"\xef\xbb\xbf" + record(["visits", "corporation", "note"], end, quoting)
    rows = [*rows, ("1", client, "")]
    kept = [record(row, end, quoting) for row in rows if row[1] != client]
    data = header + b"".join(record(row, end, quoting) for row in rows)
    with mock.patch.object(lines, "BLOCK", block):
        removed, after = scrubbed(data, client)
        assert (removed, after) == (len(rows) - len(kept), header + b"".join(kept))
        assert scrubbed(after, client) == (0, after)


@given(st.lists(WORDS, max_size=8), WORDS, st.booleans())
def test_no_trace_of_the_client_is_left_in_a_csv_file(clients: list[str], client: str, packed: bool) -> None:
    data = b"corporation,visits\r\n" + b"".join(record([each, "-7.5"], "\r\n") for each in [client, *clients])
    with file_of(gzip.compress(data) if packed else data) as path:
        assert mentions(path, client)
        assert scrub_file(path, client, COLUMNS) == 1 + clients.count(client)
        assert not mentions(path, client)
        left = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    assert [row[0] for row in csv.reader(left.decode().splitlines()[1:])] == [c for c in clients if c != client]


@pytest.mark.parametrize("packed", [False, True])
def test_clients_that_contain_the_id_stay(packed: bool) -> None:
    data = ("corporation,visits\n" + "".join(f"{part},5\n" for part in ("c1", *PARTS))).encode()
    removed, after = scrubbed(gzip.compress(data, mtime=0) if packed else data)
    assert removed == 1
    assert (gzip.decompress(after) if packed else after) == data.replace(b"c1,5\n", b"", 1)


@given(st.lists(st.sampled_from(["c1", "c2", ",", '"', "\n", "\r", "\r\n", "x", "5"]), max_size=30), st.integers(1, 20))
def test_whatever_the_text_only_whole_lines_that_hold_the_id_are_taken_away(pieces: list[str], block: int) -> None:
    data = ("corporation,note\n" + "".join(pieces)).encode()
    with mock.patch.object(lines, "BLOCK", block):
        removed, after = scrubbed(data)
    left, gone = after.splitlines(keepends=True), []
    for line in data.splitlines(keepends=True):
        if left and line == left[0]:
            del left[0]
        else:
            gone.append(line)
    assert not left
    assert bool(removed) == bool(gone) == (b"c1" in b"".join(gone))


def test_the_last_record_may_lack_its_line_end() -> None:
    assert scrubbed("corporation,visits\nc2,5\nc1,6") == (1, b"corporation,visits\nc2,5\n")
    assert scrubbed("corporation,visits\nc1,5\nc2,6") == (1, b"corporation,visits\nc2,6")


def test_lines_may_end_in_carriage_returns_alone() -> None:
    assert scrubbed('corporation,visits\rc1,5\r"c1",5\rc2,6\r') == (2, b"corporation,visits\rc2,6\r")


def test_the_id_in_another_column_of_another_client_stays() -> None:
    data = "referred by,corporation\nc1,c2\nc2,c1\n"
    assert scrubbed(data) == (1, b"referred by,corporation\nc1,c2\n")


def test_any_client_column_may_hold_the_id() -> None:
    assert scrubbed("client,corporation\nc1,c2\nc2,c1\nc2,c3\n") == (2, b"client,corporation\nc2,c3\n")


def test_a_row_that_names_no_client_is_removed_if_it_mentions_the_erased_one() -> None:
    assert scrubbed("corporation,note\n,about c1\n,about c10\n") == (1, b"corporation,note\n,about c10\n")


def test_an_id_that_was_kept_from_being_a_formula_is_removed() -> None:
    assert scrubbed("client,rank\n'=c1,1\n=c1,2\nc1,3\n", "=c1") == (2, b"client,rank\nc1,3\n")


@pytest.mark.parametrize("broken", ['c1,"a"b,5', "c1,5,6,7", 'say "c1" or not', "c1", 'c2,"c1""', "x\ry,c1"], ids=ascii)
def test_a_record_that_cannot_be_parsed_is_removed_if_it_mentions_the_client(broken: str) -> None:
    header, good = "corporation,visits\n", 'c2,"5"\nc10,"6\n7"\n'
    for fine in (broken.replace("c1", "c10"), good):
        before, after = f"{header}{broken}\n{fine}\n{good}", f"{header}{fine}\n{good}"
        assert scrubbed(before) == (1, after.encode())


def test_a_quote_that_is_never_closed_spoils_one_line_only(tmp_path: Path) -> None:
    many = "c2,5\n" * 2_000_000
    path = written(tmp_path, f'corporation,visits\nc3,"open\nc1,5\n{many}c1,6\n')
    assert scrub_file(path, "c1", COLUMNS) == 2
    assert path.read_text() == f'corporation,visits\nc3,"open\n{many}'


def test_a_table_without_a_client_column_loses_the_lines_that_mention_the_client() -> None:
    data = "name,visits\nc1,5\nc10,5\nx,c1\n"
    assert scrubbed(data) == (2, b"name,visits\nc10,5\n")


def test_other_text_loses_the_lines_that_mention_the_client() -> None:
    assert scrubbed("all went well\nrow of c1 refused\nrow of c1-2 refused") == (
        1,
        b"all went well\nrow of c1-2 refused",
    )


def test_a_short_number_leaves_other_numbers_alone() -> None:
    data = "corporation,visits\n42,5\n43,42\n142,42\n"
    assert scrubbed(data, "42") == (1, b"corporation,visits\n43,42\n142,42\n")


def test_a_packed_file_says_nothing_of_when_it_was_cleaned(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b"corporation\nc1\n"))
    assert scrub_file(path, "c1", COLUMNS) == 1
    assert path.read_bytes()[3:8] == bytes(5)  # no name, no time


# ---- JSON


def cleaned(value: Any, client: str = "c1") -> Any:
    return json.loads(scrubbed(json.dumps(value, indent=1), client)[1])


def test_objects_about_the_client_leave_their_list() -> None:
    rows = [{"client": c, "rank": i} for i, c in enumerate(("c1", *PARTS, "c1"))]
    assert cleaned({"clients": rows, "n": 1}) == {"clients": rows[1:-1], "n": 1}
    assert cleaned([{"corporation": "c1"}, {"corporation": "c2"}]) == [{"corporation": "c2"}]


def test_entries_keyed_by_the_client_are_removed() -> None:
    assert cleaned({"by client": {"c1": {"p": 0.5}, "c10": {"p": 0.25}}}) == {"by client": {"c10": {"p": 0.25}}}


def test_other_strings_that_mention_the_client_are_erased() -> None:
    before = {"worst": {"client": "c1", "p": 0.5}, "message": "row of c1 refused", "texts": ["c1", "c10", "c1-2"]}
    after = {"worst": {"client": "[erased]", "p": 0.5}, "message": "[erased]", "texts": ["[erased]", "c10", "c1-2"]}
    assert cleaned(before) == after


def test_another_client_s_id_is_never_erased_because_it_holds_the_client_s() -> None:
    assert cleaned([{"client": "Acme Ltd", "note": "was Acme"}, "Acme"], "Acme") == [
        {"client": "Acme Ltd", "note": "[erased]"},
        "[erased]",
    ]


def test_a_number_is_the_client_under_a_client_key_only() -> None:
    assert cleaned([{"client": 42}, {"client": 43, "rows": 42}, "42", "42 rows"], "42") == [
        {"client": 43, "rows": 42},
        "[erased]",
        "42 rows",
    ]


def test_a_traced_row_is_about_the_client_that_its_values_name() -> None:
    rows = [{"line": 2, "values": {"corporation": "c1", "visits": "7"}}, {"line": 3, "values": {"corporation": "c2"}}]
    removed, after = scrubbed(json.dumps({"rows": rows, "subject": "client c1"}))
    assert (removed, json.loads(after)) == (2, {"rows": rows[1:], "subject": "[erased]"})


@pytest.mark.parametrize(
    ("text", "is_the_clients"),
    [("42,x,7", True), ("7,x,42", False), ("b,42,7", False), ("42,x", False), ("42", True), ("client 42", True)],
)
def test_a_row_in_json_is_a_short_numbers_by_the_columns_of_a_delivery(text: str, is_the_clients: bool) -> None:
    headers = frozenset({("corporation", "name", "visits"), ("a", "b", "c", "d")})
    with file_of(json.dumps({"n": 42, "text": text}).encode()) as path:
        assert scrub_file(path, "42", COLUMNS, headers=headers) == int(is_the_clients)
        assert json.loads(path.read_bytes()) == {"n": 42, "text": "[erased]" if is_the_clients else text}


def test_the_mark_itself_is_no_mention() -> None:
    assert cleaned(["erased"], "erased") == ["[removed]"]
    assert scrubbed('["[removed]"]', "erased")[0] == 0


RECORDS = st.fixed_dictionaries(
    {"client": WORDS, "p": st.floats(allow_nan=False, allow_infinity=False), "n": st.integers(), "ü": st.booleans()}
)


@given(st.lists(RECORDS, max_size=6), WORDS, st.sampled_from([None, 1, 2, "\t"]), st.booleans())
def test_every_other_record_of_a_document_stays_value_for_value(
    records: list[dict[str, Any]], client: str, indent: int | str | None, escaped: bool
) -> None:
    document = {"run": 1e-300, "rows": [*records, {"client": client, "p": 1.0}]}
    data = json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
    with file_of(data) as path:
        assert scrub_file(path, client, COLUMNS)
        left = [each for each in records if each["client"] != client]
        expected = json.dumps({"run": 1e-300, "rows": left}, indent=indent, ensure_ascii=escaped)
        assert path.read_bytes() == expected.encode()
        assert not mentions(path, client)
        assert scrub_file(path, client, COLUMNS) == 0


@pytest.mark.parametrize(
    "text", ['{"a":["c1"],"b":1}\n', '{"a": ["c1"], "b": 1}', '\ufeff{\n  "a": [\n    "c1"\n  ]\n}\r\n']
)
def test_a_document_keeps_its_spacing(text: str) -> None:
    assert scrubbed(text) == (1, text.replace("c1", "[erased]").encode())


@pytest.mark.parametrize(
    "text", ['{"a": "c1", "a": 2}', '{"a": "c1", "b": 1e999}', '{"a": "c1"', '["c1"' + "[" * 100_000]
)
def test_a_document_that_writing_again_would_change_is_not_touched(text: str) -> None:
    assert scrubbed(text) == (None, text.encode())


def test_text_that_only_begins_like_json_is_text() -> None:
    assert scrubbed("[12:00] c1 came\n[12:01] c10 came\n") == (1, b"[12:01] c10 came\n")


def test_of_json_lines_those_about_the_client_are_dropped_and_others_redacted() -> None:
    events: list[dict[str, Any]] = [
        {"event": "assessed", "client": "c1"},
        {"event": "assessed", "client": "c10"},
        {"event": "refused", "text": "c1,5,x", "line": 7},
        {"event": "many", "rows": [{"client": "c1"}, {"client": "c2"}]},
    ]
    torn = '{"event": "c1'
    data = "".join(json.dumps(event) + "\n" for event in events) + torn
    expected = [events[1], {**events[2], "text": "[erased]"}, {"event": "many", "rows": [{"client": "c2"}]}]
    assert scrubbed(data) == (4, "".join(json.dumps(event) + "\n" for event in expected).encode())


@given(st.lists(RECORDS, min_size=1, max_size=6), WORDS, st.integers(1, 60), st.booleans())
def test_every_other_line_of_json_stays_byte_for_byte(
    records: list[dict[str, Any]], client: str, block: int, packed: bool
) -> None:
    others = [json.dumps(each).encode() + b"\n" for each in records if each["client"] != client]
    everything = [json.dumps(each).encode() + b"\n" for each in [*records, {"client": client}]]
    data = b"".join(everything)
    with mock.patch.object(lines, "BLOCK", block):
        removed, after = scrubbed(gzip.compress(data) if packed else data, client)
    if len(everything) > 1:
        assert removed == len(everything) - len(others)
        assert (gzip.decompress(after) if packed else after) == b"".join(others)


# ---- Parquet


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


KINDS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int8(), pa.string()))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.none() | WORDS, st.none() | st.sampled_from(["north", "c1 went", "c10"]), st.none() | st.integers(-9, -1)
        )
    ),
    WORDS,
    st.sampled_from(KINDS),
    st.integers(1, 5),
)
def test_every_other_row_of_a_parquet_file_stays_value_for_value(
    rows: list[tuple[str | None, str | None, int | None]], client: str, kind: pa.DataType, group: int
) -> None:
    rows = [*rows, (client, None, 1)]
    ids = pa.array([row[0] for row in rows], pa.string()).cast(pa.string() if pa.types.is_dictionary(kind) else kind)
    table = pa.table(
        {
            "corporation": ids.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else ids,
            "note": [row[1] for row in rows],
            "visits": pa.array([row[2] for row in rows], pa.int32()),
        }
    )
    found = Mention(client)
    gone = [row[0] == client or (row[0] is None and found.in_text(row[1] or "")) for row in rows]
    with file_of(parquet(table, row_group_size=group)) as path:
        assert scrub_file(path, client, COLUMNS) == sum(gone)
        left = pq.read_table(path)
        assert left.schema.equals(table.schema, check_metadata=True)
        assert left.to_pylist() == [row for row, each in zip(table.to_pylist(), gone, strict=True) if not each]
        assert mentions(path, client) == any(
            found.in_text(text) for row in left.to_pylist() for text in (row["note"] or "", "north")
        )
        after = path.read_bytes()
        assert scrub_file(path, client, COLUMNS) == 0
        assert path.read_bytes() == after


def test_a_quarantined_row_is_removed_by_its_original_text() -> None:
    texts = ["c1,x,5", '"c1",5', "c10,x,5", None, "5,c1-2,x"]
    table = pa.table({"file": ["march.csv"] * 5, "line": range(5), "text": texts})
    with file_of(parquet(table)) as path:
        assert scrub_file(path, "c1", COLUMNS) == 2
        assert pq.read_table(path)["text"].to_pylist() == texts[2:]


def test_a_row_of_another_client_stays_though_its_text_mentions_the_erased_one() -> None:
    table = pa.table({"corporation": ["north", "south", ""], "region": ["north", "north", "north"]})
    with file_of(parquet(table)) as path:
        assert scrub_file(path, "north", COLUMNS) == 2
        assert pq.read_table(path).to_pylist() == [{"corporation": "south", "region": "north"}]
        assert mentions(path, "north")


NESTED = {
    "list": pa.array([["x", "c1"], ["c10"], None, []]),
    "fixed": pa.array([["x", "c1"], ["c10", "x"], None, ["", ""]], pa.list_(pa.string(), 2)),
    "struct": pa.array([{"a": {"b": "c1"}}, {"a": {"b": "c10"}}, None, {"a": None}]),
    "map": pa.array([[("k", "c1")], [("k", "c10")], None, []], pa.map_(pa.string(), pa.string())),
    "list of structs": pa.array([[{"a": "x"}, {"a": "c1"}], [{"a": "c10"}], None, []]),
    "fixed bytes": pa.array([b"c1 ", b"c10", None, b"\xff\xff\xff"], pa.binary(3)),
}


@pytest.mark.parametrize("name", NESTED)
def test_a_mention_is_found_in_nested_columns(name: str) -> None:
    table = pa.table({"n": [0, 1, 2, 3], "inside": NESTED[name]})
    with file_of(parquet(table)) as path:
        assert mentions(path, "c1")
        assert scrub_file(path, "c1", COLUMNS) == 1
        assert pq.read_table(path).equals(table.slice(1))
        assert not mentions(path, "c1")


@pytest.mark.parametrize("kind", [pa.int64(), pa.int16(), pa.uint8(), pa.float64()])
def test_numbers_are_ids_in_a_client_column(kind: pa.DataType) -> None:
    table = pa.table({"corporation": pa.array([42, 43, None]).cast(kind), "visits": [42, 42, 42]})
    with file_of(parquet(table)) as path:
        assert scrub_file(path, "300", COLUMNS) == 0
        assert scrub_file(path, "042", COLUMNS) == 0
        assert scrub_file(path, "42", COLUMNS) == 1
        assert pq.read_table(path).equals(table.slice(1))


def test_a_long_number_is_found_in_a_column_of_whole_numbers() -> None:
    with file_of(parquet(pa.table({"n": [12345, 6]}))) as path:
        assert mentions(path, "12345")
        assert not mentions(path, "6")


def test_a_parquet_file_keeps_its_manner(tmp_path: Path) -> None:
    schema = pa.schema(
        [pa.field("corporation", pa.string(), metadata={"unit": "none"}), ("visits", pa.int64())], {"made by": "us"}
    )
    table = pa.table({"corporation": ["c1", "c2", "c3", "c1", "c1"], "visits": range(5)}, schema=schema)
    path = written(
        tmp_path,
        parquet(
            table,
            row_group_size=2,
            compression={"corporation": "zstd", "visits": "none"},
            use_dictionary=["corporation"],
            write_statistics=["visits"],
            write_page_index=True,
            version="2.4",
            sorting_columns=[pq.SortingColumn(1)],
        ),
    )
    before = pq.ParquetFile(path)
    assert scrub_file(path, "c1", COLUMNS) == 3
    after = pq.ParquetFile(path)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.schema.equals(before.schema)
    assert after.metadata.metadata == before.metadata.metadata
    assert after.metadata.format_version == before.metadata.format_version
    assert [after.metadata.row_group(i).num_rows for i in range(after.num_row_groups)] == [1, 1]
    for place in range(2):
        old, new = (file.metadata.row_group(0).column(place) for file in (before, after))
        for trait in ("compression", "has_dictionary_page", "is_stats_set", "has_column_index", "has_offset_index"):
            assert getattr(new, trait) == getattr(old, trait), trait
    assert after.metadata.row_group(0).sorting_columns == before.metadata.row_group(0).sorting_columns


ENCODINGS = {
    "corporation": "DELTA_LENGTH_BYTE_ARRAY",
    "note": "DELTA_BYTE_ARRAY",
    "visits": "DELTA_BINARY_PACKED",
    "share": "BYTE_STREAM_SPLIT",
}


def test_a_parquet_file_keeps_its_encodings() -> None:
    table = pa.table({"corporation": ["c1", "c2"], "note": ["x", "y"], "visits": [1, 2], "share": [0.5, 0.25]})
    with file_of(parquet(table, use_dictionary=False, column_encoding=ENCODINGS)) as path:
        assert mentions(path, "c1")
        assert scrub_file(path, "c1", COLUMNS) == 1
        assert pq.read_table(path).equals(table.slice(1))
        assert not mentions(path, "c1")
        row_group = pq.read_metadata(path).row_group(0)
        for place, encoding in enumerate(ENCODINGS.values()):
            assert encoding in row_group.column(place).encodings


def test_a_parquet_file_without_a_row_left_is_an_empty_table() -> None:
    with file_of(parquet(pa.table({"corporation": ["c1"], "visits": [1]}))) as path:
        assert scrub_file(path, "c1", COLUMNS) == 1
        assert pq.read_table(path).schema.names == ["corporation", "visits"]
        assert pq.read_table(path).num_rows == 0
        assert scrub_file(path, "c1", COLUMNS) == 0


def test_statistics_and_dictionaries_do_not_keep_the_id() -> None:
    ids = pa.array(["a-client", "b", "z"]).dictionary_encode()
    with file_of(parquet(pa.table({"corporation": ids}), write_page_index=True, compression="none")) as path:
        assert b"a-client" in path.read_bytes()
        assert scrub_file(path, "a-client", COLUMNS) == 1
        assert b"a-client" not in path.read_bytes()
        assert pq.read_table(path)["corporation"].to_pylist() == ["b", "z"]


def test_the_order_of_an_ordered_dictionary_stays() -> None:
    kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    bands = pa.DictionaryArray.from_arrays(pa.array([2, None, 0], pa.int8()), ["low", "middle", "high"], ordered=True)
    with file_of(parquet(pa.table({"corporation": ["c2", "c3", "c1"], "band": bands}))) as path:
        assert scrub_file(path, "c1", COLUMNS) == 1
        left = pq.read_table(path)["band"].combine_chunks()
    assert left.type == kind
    assert left.to_pylist() == ["high", None]


def test_a_value_that_no_row_uses_any_more_is_a_trace() -> None:
    table = pa.table({"corporation": pa.array(["c1", "c2"]).dictionary_encode()}).slice(1)
    with file_of(parquet(table)) as path:
        assert pq.read_table(path)["corporation"].to_pylist() == ["c2"]
        assert mentions(path, "c1")


def test_metadata_that_mentions_the_client_cannot_be_cleaned() -> None:
    table = pa.table({"corporation": ["c1", "c2"]}).replace_schema_metadata({"made for": "the call to c1"})
    with file_of(parquet(table)) as path:
        before = path.read_bytes()
        assert mentions(path, "c1")
        assert scrub_file(path, "c1", COLUMNS) is None
        assert path.read_bytes() == before


def test_a_nested_dictionary_cannot_be_cleaned() -> None:
    inside = pa.array([["c1"], ["c2"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))
    with file_of(parquet(pa.table({"inside": inside}))) as path:
        assert scrub_file(path, "c1", COLUMNS) is None
        assert scrub_file(path, "c3", COLUMNS) == 0


def test_the_name_of_a_column_is_a_trace() -> None:
    with file_of(parquet(pa.table({"c1": [1]}))) as path:
        assert mentions(path, "c1")


# ---- Excel


def workbook(*sheets: Sequence[Sequence[Any]], change: Callable[[Any], None] = lambda _: None) -> bytes:
    book, sink = openpyxl.Workbook(), io.BytesIO()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in rows:
            sheet.append(row)
    change(book)
    book.save(sink)
    return sink.getvalue()


def rows_of(path: Path) -> list[list[list[Any]]]:
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()))
    return [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]


def members_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


OPEN_XML = "http://schemas.openxmlformats.org"
KIND = "application/vnd.openxmlformats"


def part(name: str, kind: str) -> str:
    return f'<Override PartName="/xl/{name}.xml" ContentType="{KIND}-officedocument.spreadsheetml.{kind}+xml"/>'


def relations(*targets: tuple[str, str]) -> str:
    kind = f"{OPEN_XML}/officeDocument/2006/relationships"
    each = [f'<Relationship Id="r{i}" Type="{kind}/{what}" Target="{to}"/>' for i, (what, to) in enumerate(targets)]
    return f'<Relationships xmlns="{OPEN_XML}/package/2006/relationships">{"".join(each)}</Relationships>'


def shared_cell(row: int, place: int) -> str:
    return f'<row r="{row}"><c r="A{row}" t="s"><v>{place}</v></c></row>'


MAIN = f'xmlns="{OPEN_XML}/spreadsheetml/2006/main"'
SHARED = {
    "[Content_Types].xml": f'<Types xmlns="{OPEN_XML}/package/2006/content-types">'
    f'<Default Extension="rels" ContentType="{KIND}-package.relationships+xml"/>{part("workbook", "sheet.main")}'
    f"{part('worksheets/sheet1', 'worksheet')}{part('sharedStrings', 'sharedStrings')}</Types>",
    "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
    "xl/_rels/workbook.xml.rels": relations(
        ("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")
    ),
    "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{OPEN_XML}/officeDocument/2006/relationships">'
    '<sheets><sheet name="Data" sheetId="1" r:id="r0"/></sheets></workbook>',
    "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>corporation</t></si><si><t>acme</t></si>"
    "<si><r><t>ac</t></r><r><rPr><b/></rPr><t>me-2</t></r></si>"
    "<si><r><rPr><b/></rPr><t>ac</t></r><r><t>me</t></r></si></sst>",
    "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>"
    f"{''.join(shared_cell(place + 1, place) for place in range(4))}</sheetData></worksheet>",
}
"""A workbook as Excel writes it: its texts lie in a table of their own, one of them in two fonts."""


def zipped(members: dict[str, str]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return sink.getvalue()


@settings(max_examples=15)
@given(st.lists(st.tuples(WORDS, st.integers(-9, -1)), max_size=6), WORDS)
def test_every_other_row_of_a_workbook_stays_value_for_value(rows: list[tuple[str, int]], client: str) -> None:
    header = ("visits", "corporation")
    body = [(visits, each) for each, visits in rows]
    with file_of(workbook([header, *body, (1.5, client)])) as path:
        assert mentions(path, client)
        assert scrub_file(path, client, COLUMNS) == 1 + sum(each == client for each, _ in rows)
        emptied = [[None, None] if row[1] == client else list(row) for row in body]
        while emptied and emptied[-1] == [None, None]:  # rows at the end without a cell are none to openpyxl
            emptied.pop()
        assert rows_of(path) == [[list(header), *emptied]]
        assert not mentions(path, client)
        after = path.read_bytes()
        assert scrub_file(path, client, COLUMNS) == 0
        assert path.read_bytes() == after


def test_the_table_of_shared_texts_does_not_keep_the_id() -> None:
    with file_of(zipped(SHARED)) as path:
        assert mentions(path, "acme")
        assert scrub_file(path, "acme", COLUMNS) == 2
        assert rows_of(path) == [[["corporation"], [None], ["acme-2"]]]
        assert b">acme<" not in members_of(path)
        assert not mentions(path, "acme")


def test_an_id_in_two_fonts_is_found() -> None:
    members = SHARED | {"xl/sharedStrings.xml": SHARED["xl/sharedStrings.xml"].replace("<t>acme</t>", "<t>x</t>")}
    with file_of(zipped(members)) as path:
        assert mentions(path, "acme")


def test_the_address_of_a_cell_is_no_mention() -> None:
    with file_of(workbook([["corporation", "sum"], ["C2", "=B2*C2"]])) as path:
        assert scrub_file(path, "C2", COLUMNS) == 1
        assert not mentions(path, "C2")
        assert not mentions(path, "A1")


@pytest.mark.parametrize("value", [42, 42.0, "42"])
def test_a_number_in_a_client_column_is_an_id(value: Any) -> None:
    with file_of(workbook([["corporation", "n"], [value, 1], [43, 42], [142, 42]])) as path:
        assert scrub_file(path, "42", COLUMNS) == 1
        assert rows_of(path) == [[["corporation", "n"], [None, None], [43, 42], [142, 42]]]


def test_every_sheet_is_cleaned_by_its_own_header() -> None:
    notes: list[list[Any]] = [["Notes"], ["about c1, he said"], ["about c10"]]
    more: list[list[Any]] = [
        [None, None],
        ["x", "client"],
        ["c1", "c2"],
        ["c2", "c1"],
        [None, None],
        ["total for c1", None],
        ["x", "c3"],
    ]
    with file_of(workbook([["corporation"], ["c1"], ["c1"], ["c2"], ["c1"]], notes, more)) as path:
        assert scrub_file(path, "c1", COLUMNS) == 6
        assert rows_of(path) == [
            [["corporation"], [None], [None], ["c2"]],
            [["Notes"], [None], ["about c10"]],
            [[None, None], ["x", "client"], ["c1", "c2"], [None, None], [None, None], [None, None], ["x", "c3"]],
        ]


def test_a_workbook_that_mentions_the_client_outside_its_rows_cannot_be_cleaned() -> None:
    def name_sheet(book: Any) -> None:
        book.active.title = "c1 alone"

    with file_of(workbook([["corporation"], ["c1"]], change=name_sheet)) as path:
        before = path.read_bytes()
        assert mentions(path, "c1")
        assert scrub_file(path, "c1", COLUMNS) is None
        assert path.read_bytes() == before


def test_an_archive_that_is_no_workbook_cannot_be_cleaned() -> None:
    with file_of(zipped({"notes.txt": "about c1"})) as path:
        assert mentions(path, "c1")
        assert scrub_file(path, "c1", COLUMNS) is None
        assert scrub_file(path, "c2", COLUMNS) == 0


def test_the_name_of_a_member_is_a_trace() -> None:
    with file_of(zipped({"c1/notes": ""})) as path:
        assert mentions(path, "c1")


# ---- other kinds, and the file itself


@pytest.mark.parametrize(
    "data",
    [
        b"<!doctype html><p>c1</p>",
        b'\xef\xbb\xbf<svg xmlns="http://www.w3.org/2000/svg"><text>c1</text></svg>',
        b"\x80\x04\x95\0\0\x8c\x02\0c1\x94.",
        b"%PDF-1.7\n(c1) Tj",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dtEXtfor\0c1\0",
        "corporation\nc1\n".encode("utf-16"),
        gzip.compress(b"<p>c1</p>", mtime=0),
        gzip.compress(b"corporation\nc1\n" * 100, mtime=0)[:-20],
        b"PAR1 c1 PAR1",
        b"PK\x03\x04 c1 ",
    ],
    ids=lambda data: ascii(data[:8]),
)
def test_what_cannot_be_cleaned_is_told_and_left_as_it_is(data: bytes) -> None:
    assert scrubbed(data) == (None, data)


@pytest.mark.parametrize(
    "data", [b"", b"<p>c10</p>", b"%PDF-1.7\n(c1-2)", b"\x89PNG\0\0", b"corporation\nc10\n", b"{}"]
)
def test_what_does_not_mention_the_client_is_left_as_it_is(data: bytes) -> None:
    assert scrubbed(data) == (0, data)


def test_a_link_stays_a_link_and_what_it_leads_to_is_not_touched(tmp_path: Path) -> None:
    path = written(tmp_path, "corporation\nc1\n")
    (tmp_path / "link").symlink_to(path)
    assert scrub_file(tmp_path / "link", "c1", COLUMNS) == 0
    assert path.read_bytes() == b"corporation\nc1\n"


def test_a_pipe_or_a_folder_holds_nothing_and_does_not_hold_the_work_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        assert scrub_file(path, "c1", COLUMNS) == 0
        assert not mentions(path, "c1")


FILES: dict[str, bytes] = {
    "csv": b"corporation,visits\nc1,1\nc2,2\n",
    "gzip": gzip.compress(b"corporation,visits\nc1,1\nc2,2\n"),
    "json": b'[{"client": "c1"}, {"client": "c2"}]',
    "parquet": parquet(pa.table({"corporation": ["c1", "c2"]})),
    "excel": workbook([["corporation"], ["c1"], ["c2"]]),
}


@pytest.mark.parametrize("kind", FILES)
def test_mode_and_times_stay(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, FILES[kind])
    path.chmod(0o640)
    os.utime(path, ns=(1_000_000_001, 2_000_000_003))
    assert scrub_file(path, "c1", COLUMNS) == 1
    after = path.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_mtime_ns) == (0o640, 2_000_000_003)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = written(tmp_path, FILES["csv"])
    os.chown(path, 1234, 4321)
    assert scrub_file(path, "c1", COLUMNS) == 1
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_removed_the_second_time(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, FILES[kind])
    assert scrub_file(path, "c1", COLUMNS) == 1
    state = path.stat()
    assert scrub_file(path, "c1", COLUMNS) == 0
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)


@pytest.mark.parametrize("kind", FILES)
def test_a_client_that_is_not_there_leaves_the_very_same_file(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, FILES[kind])
    state = path.stat()
    assert scrub_file(path, "c", COLUMNS) == 0
    assert path.stat() == state
    assert path.read_bytes() == FILES[kind]


def test_while_the_new_file_is_written_only_its_owner_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []

    def look(*_: object) -> None:
        modes.append(stat.S_IMODE((tmp_path / ".file.tmp").stat().st_mode))

    monkeypatch.setattr(os, "chown", look)
    scrub_file(written(tmp_path, FILES["csv"]), "c1", COLUMNS)
    assert modes == [0o600]


def test_a_file_whose_owner_cannot_be_kept_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refused)
    path = written(tmp_path, FILES["csv"])
    with pytest.raises(NotPermitted):
        scrub_file(path, "c1", COLUMNS)
    assert path.read_bytes() == FILES["csv"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for kind, data in FILES.items():
        path = written(tmp_path, data)
        with pytest.raises(CannotWrite) as caught:
            scrub_file(path, "c1", COLUMNS)
        assert caught.value.file == str(path)
        assert path.read_bytes() == data, kind
        assert list(tmp_path.iterdir()) == [path]


KILL = """
import os, shutil, signal, sys
from pathlib import Path
from holdfast.erasing.tasks import DeliveredCells
from holdfast.limits import Limits
from holdfast.store.scrubbing import clean
from holdfast.store.scrubbing.mention import Erasure, Mention
erasure = Erasure(Mention("c1"), frozenset(["corporation", "client"]), cells=DeliveredCells(Limits()))
for name in sys.argv[2:]:
    for module, call in ((os, "chown"), (shutil, "copystat"), (os, "fsync"), (os, "replace"), (os, "open")):
        child = os.fork()
        if child == 0:
            def dying(*arguments, real=getattr(module, call), **named):
                if call != "open" or str(arguments[0]).endswith(".tmp") or arguments[1] & os.O_DIRECTORY:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **named)
            setattr(module, call, dying)
            clean(Path(sys.argv[1]) / name, erasure)
            os._exit(0)
        print(name, call, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        sys.stdin.readline()
"""


def test_a_kill_before_the_new_file_is_in_place_leaves_the_old_one(tmp_path: Path) -> None:
    for kind, data in FILES.items():
        (tmp_path / kind).write_bytes(data)
    command = [sys.executable, "-c", KILL, str(tmp_path), *FILES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        met = 0
        for line in process.stdout:
            kind, _, status = line.split()
            assert (int(status), (tmp_path / kind).read_bytes()) == (-signal.SIGKILL, FILES[kind]), line
            met += 1
            process.stdin.write("\n")
            process.stdin.flush()
    assert met == 5 * len(FILES)
    for kind in FILES:
        assert scrub_file(tmp_path / kind, "c1", COLUMNS) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


# ---- what is somebody else's


OF_OTHERS: dict[str, bytes] = {
    "json": b'{"client": "c1", "n": [1]}',
    "json lines": b'{"client": "c1"}\n{"client": "c2"}\n',
    "text": b"we met c1\n",
    "packed json": gzip.compress(b'{"client": "c1"}', mtime=0),
    "csv without a client column": b"who,visits\nc1,1\n",
    "parquet without a client column": parquet(pa.table({"who": ["c1", "c2"]})),
    "excel without a client column": workbook([["who"], ["c1"], ["c2"]]),
}


@pytest.mark.parametrize("kind", OF_OTHERS)
def test_of_others_files_only_tables_of_clients_are_cleaned(kind: str) -> None:
    with file_of(OF_OTHERS[kind]) as path:
        assert scrub_file(path, "c1", COLUMNS, own=False) is None
        assert scrub_file(path, "c", COLUMNS, own=False) == 0
        assert path.read_bytes() == OF_OTHERS[kind]
        assert scrub_file(path, "c1", COLUMNS) == 1


@pytest.mark.parametrize("kind", ["csv", "gzip", "parquet", "excel"])
def test_tables_of_clients_are_cleaned_whosever_they_are(kind: str) -> None:
    with file_of(FILES[kind]) as path:
        assert scrub_file(path, "c1", COLUMNS, own=False) == 1
        assert not mentions(path, "c1")


def test_a_sheet_of_others_beside_a_table_of_clients_stays_and_is_found() -> None:
    with file_of(workbook([["corporation"], ["c1"], ["c2"]], [["notes"], ["about c1"]])) as path:
        assert scrub_file(path, "c1", COLUMNS, own=False) == 1
        assert rows_of(path) == [[["corporation"], [None], ["c2"]], [["notes"], ["about c1"]]]
        assert mentions(path, "c1")


@pytest.mark.parametrize("kind", FILES)
def test_a_cleaned_file_can_be_written_elsewhere(tmp_path: Path, kind: str) -> None:
    path, copy = written(tmp_path, FILES[kind]), tmp_path / "copy"
    assert scrub_file(path, "c1", COLUMNS, into=copy) == 1
    assert path.read_bytes() == FILES[kind]
    assert not mentions(copy, "c1")
    assert mentions(copy, "c2")


# ---- the search


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 200), st.booleans())
def test_an_id_is_found_wherever_it_stands_in_a_file(before: int, after: int, block: int, packed: bool) -> None:
    data = b"." * before + b" client-7 " + b"\xff" * after
    with file_of(gzip.compress(data) if packed else data) as path, mock.patch.object(mention, "BLOCK", block):
        assert mentions(path, "client-7")
        assert not mentions(path, "client-77")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_an_id_is_found_in_text_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    assert mentions(written(tmp_path, "corporation\r\ncafé-1\r\n".encode(encoding)), "café-1")


def test_searching_takes_no_more_memory_for_a_larger_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _ in range(24):
            stream.write(b"client-1,5,6,7\n" * 70_000)
    for client in ("client-9", "é9"):
        tracemalloc.start()
        try:
            assert not mentions(path, client)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


def test_what_is_damaged_is_an_error_and_not_a_clean_file(tmp_path: Path) -> None:
    for data in (gzip.compress(b"x" * 1000)[:-9], FILES["excel"][:-30], FILES["parquet"][:-6]):
        with pytest.raises(InputOutputError) as caught:
            mentions(written(tmp_path, data), "c1")
        assert caught.value.file == str(tmp_path / "file")


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, "c1")
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(NotPermitted):
        mentions(path, "c1")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("CREATE TABLE contacts (manager TEXT, client TEXT, day TEXT)")
        connection.execute("CREATE INDEX by_client ON contacts (client)")
        rows = [("anna", f"c{number}", "2026-01-31") for number in range(2, 400)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO contacts VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        yield connection


def test_an_id_in_a_database_is_found_though_its_neighbours_touch_it(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    path = tmp_path / "ledger.sqlite"
    assert not mentions(path, "c1")
    database.execute("INSERT INTO contacts VALUES ('anna', 'c1', '2026-01-31')")
    assert b"annac12026" in path.read_bytes()
    assert mentions(path, "c1")


def test_the_remains_of_a_deleted_row_are_found_until_they_are_wiped(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    path = tmp_path / "ledger.sqlite"
    database.execute("INSERT INTO contacts VALUES ('anna', 'c1', '2026-01-31')")
    database.execute("PRAGMA secure_delete = OFF")
    database.execute("DELETE FROM contacts WHERE client = 'c1'")
    assert mentions(path, "c1")
    database.execute("PRAGMA secure_delete = ON")
    database.execute("VACUUM")
    assert not mentions(path, "c1")


def test_every_occurrence_in_the_log_of_a_database_counts(tmp_path: Path, database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("INSERT INTO contacts VALUES ('anna', 'c1', '2026-01-31')")
    assert mentions(tmp_path / "ledger.sqlite-wal", "c1")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert not mentions(tmp_path / "ledger.sqlite-wal", "c1")


def test_searching_a_database_makes_no_files_beside_it(tmp_path: Path, database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    before = sorted(tmp_path.iterdir())
    mentions(tmp_path / "ledger.sqlite", "c300")
    assert sorted(tmp_path.iterdir()) == before


def test_in_a_damaged_database_every_occurrence_counts(tmp_path: Path) -> None:
    path = written(tmp_path, b"SQLite format 3\0" + b"annac12026" * 10)
    assert mentions(path, "c1")
    assert not mentions(path, "c3")


@pytest.mark.parametrize(
    ("value", "found"),
    [("42", True), ("x,42,y", True), ('{"n": "42"}', True), ('{"n": [1,42,3]}', False), ("1420", False), (42, False)],
)
def test_a_short_number_is_found_in_a_database_by_the_values_of_its_cells(
    tmp_path: Path, database: sqlite3.Connection, value: object, found: bool
) -> None:
    database.execute("CREATE TABLE kept (value)")
    assert not mentions(tmp_path / "ledger.sqlite", "42")
    database.execute("INSERT INTO kept VALUES (?)", (value,))
    assert mentions(tmp_path / "ledger.sqlite", "42") is found


def test_a_short_number_is_found_in_a_client_column_and_in_what_the_log_holds(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    database.execute("CREATE TABLE numbers (corporation INTEGER, visits INTEGER)")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("INSERT INTO numbers VALUES (5, 42)")
    assert not mentions(tmp_path / "ledger.sqlite", "42", COLUMNS)
    database.execute("INSERT INTO numbers VALUES (42, 5)")
    assert (tmp_path / "ledger.sqlite-wal").stat().st_size
    assert mentions(tmp_path / "ledger.sqlite", "42", COLUMNS)
    assert not mentions(tmp_path / "ledger.sqlite-wal", "42", COLUMNS)


def test_a_long_number_is_found_in_a_database_where_it_is_a_number(
    tmp_path: Path, database: sqlite3.Connection
) -> None:
    database.execute("CREATE TABLE numbers (n INTEGER)")
    database.execute("INSERT INTO numbers VALUES (123456)")
    assert mentions(tmp_path / "ledger.sqlite", "123456")


# ---- archives


def ledger_of(client: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE rows (manager TEXT, client TEXT, day TEXT)")
            connection.execute("INSERT INTO rows VALUES ('anna', ?, '2026')", (client,))
        return path.read_bytes()


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return sink.getvalue()


def archived(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": lambda members: tarred(members, "w"),
    "tar.gz": lambda members: tarred(members, "w:gz"),
    "tar.bz2": lambda members: tarred(members, "w:bz2"),
    "tar.xz": lambda members: tarred(members, "w:xz"),
    "zip": archived,
    "zip in tar.gz": lambda members: tarred({"inner.zip": archived(members)}),
    "tar.gz in zip": lambda members: archived({"inner.tgz": tarred(members)}),
    "gzip": lambda members: gzip.compress(next(iter(members.values()))),
}
HELD: dict[str, Callable[[str], bytes]] = {
    "text": lambda client: f"about {client}\n".encode(),
    "csv.gz": lambda client: gzip.compress(f"corporation\n{client}\n".encode()),
    "parquet": lambda client: parquet(pa.table({"corporation": [client, "c2"]})),
    "excel": lambda client: workbook([["corporation"], [client]]),
    "sqlite": ledger_of,
}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("packer", PACKERS)
def test_backups_are_looked_into(tmp_path: Path, packer: str, held: str) -> None:
    path = written(tmp_path, PACKERS[packer]({"a/file": HELD[held]("client-7")}))
    assert mentions(path, "client-7")
    assert not mentions(path, "client-77")
    before = path.read_bytes()
    if (packer, held) != ("gzip", "text"):
        assert scrub_file(path, "client-7", COLUMNS) is None
        assert path.read_bytes() == before


def test_the_name_of_a_member_of_a_tar_archive_is_a_trace(tmp_path: Path) -> None:
    assert mentions(written(tmp_path, tarred({"c1/notes": b""})), "c1")


@pytest.mark.parametrize(
    "beginning", [b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x04\x22\x4d\x18"]
)
def test_what_is_packed_in_a_way_that_is_not_known_cannot_be_looked_through(tmp_path: Path, beginning: bytes) -> None:
    path = written(tmp_path, beginning + b"...")
    with pytest.raises(InputOutputError, match="cannot be unpacked here"):
        mentions(path, "c1")
    assert scrub_file(path, "c1", COLUMNS) is None


def test_archives_in_archives_are_looked_into_up_to_a_depth(tmp_path: Path) -> None:
    data = b"about client-7"
    for _ in range(8):
        data = archived({"inner": data}) + b""
    with pytest.raises(InputOutputError, match="cannot be unpacked here"):
        mentions(written(tmp_path, data), "client-7")


NOISE = random.Random(7).randbytes(9000)


@pytest.mark.parametrize("data", [tarred({"a": NOISE})[:-200], archived({"a": NOISE})[:-30]], ids=["tar", "zip"])
def test_a_damaged_archive_is_an_error_and_not_a_clean_one(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputOutputError):
        mentions(written(tmp_path, data), "c1")


# ---- traces


def test_traces_are_the_files_below_a_folder_that_mention_the_client(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep.csv").write_text("corporation\nc1\n")
    (tmp_path / "a" / ".hidden.tmp").write_text("c1")
    (tmp_path / "a" / "other.csv").write_text("corporation\nc10\n")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"c1"))
    (tmp_path / "table.parquet").write_bytes(FILES["parquet"])
    expected = ("a/.hidden.tmp", "a/b/deep.csv", "packed.gz", "table.parquet")
    assert traced(tmp_path, "c1", frozenset()) == tuple(tmp_path / name for name in expected)


@pytest.mark.parametrize("name", ["c1", "c1.csv", "list for c1.csv.gz", ".c1.json.tmp", "c1.d"])
def test_a_name_is_a_trace(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    (tmp_path / name.replace("c1", "xc1")).mkdir()
    assert traced(tmp_path, "c1") == (tmp_path / name,)


@pytest.mark.parametrize("name", ["c1-2.csv", "c1.2.csv", "abc1", "c10", "new\nline", "\udcff"], ids=ascii)
def test_a_name_that_contains_the_id_in_a_longer_word_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert traced(tmp_path, "c1") == ()


def test_the_name_of_a_folder_is_a_trace(tmp_path: Path) -> None:
    (tmp_path / "c1").mkdir()
    assert traced(tmp_path, "c1") == (tmp_path / "c1",)


def test_links_are_not_followed_but_where_they_lead_counts(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "file").write_text("c1")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    (root / "loop").symlink_to(root)
    (root / "gone").symlink_to("reports/c1.html")
    assert traced(root, "c1") == (root / "gone",)


def test_paths_to_skip_are_left_out_with_all_below_them(tmp_path: Path) -> None:
    for name in ("keep", "logs/old", "logs/new"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("c1")
    skipped = frozenset({"logs/old", "keep/file", "file"})
    assert traced(tmp_path, "c1", skipped) == (tmp_path / "logs" / "new" / "file",)


def test_what_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    (tmp_path / "fine").write_text("")
    (tmp_path / "locked").mkdir()
    real = os.scandir

    def refused(path: Path) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert traced(tmp_path, "c1") == (tmp_path / "damaged.gz", tmp_path / "locked")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        traced(tmp_path / "nowhere", "c1")


def test_after_scrubbing_every_file_no_trace_is_left(tmp_path: Path) -> None:
    for kind, data in FILES.items():
        (tmp_path / kind).write_bytes(data)
    assert len(traced(tmp_path, "c1")) == len(FILES)
    for kind in FILES:
        assert scrub_file(tmp_path / kind, "c1", COLUMNS) == 1
    assert traced(tmp_path, "c1") == ()
    assert len(traced(tmp_path, "c2")) == len(FILES)


def test_statistics_of_a_parquet_file_are_looked_at(tmp_path: Path) -> None:
    path = written(tmp_path, parquet(pa.table({"corporation": ["c1", "c2"]})))
    assert parquet_mentions(path, Erasure(Mention("c1"), COLUMNS))
    assert not parquet_mentions(path, Erasure(Mention("c3"), COLUMNS))
