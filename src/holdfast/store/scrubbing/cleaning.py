"""One client taken out of one file, whatever kind of file it is."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import BinaryIO, cast

from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.kinds import BEGINNING, Kind, Opaque, kind_of, opened, unpacked
from holdfast.store.scrubbing.lines import clean_json_lines, clean_text
from holdfast.store.scrubbing.mention import BLOCK, Erasure, Mention
from holdfast.store.scrubbing.parquet import clean_parquet
from holdfast.store.scrubbing.rewriting import rewrite
from holdfast.store.scrubbing.searching import holds
from holdfast.store.scrubbing.workbooks import clean_workbook, is_workbook

NOT_PACKED_AGAIN = ("zip", "tar", "bzip2", "xz", "packed")
MEANT_AS_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{|\[\s*["{\[])')


def scrub_file(
    path: Path,
    client: str,
    columns: frozenset[str],
    *,
    own: bool = True,
    into: Path | None = None,
    headers: frozenset[tuple[str, ...]] = frozenset(),
) -> int | None:
    """Remove from one file what belongs to the client; returns how many rows, lines or values were removed.

    0: nothing was, and the file is untouched. None: this file cannot be cleaned, or is not to be, and mentions the
    client; it is untouched. A new file takes the old one's place in one step, with its mode, owner and modification
    time. The kind is told by the bytes, not by the name. `columns`: the names of columns, and of JSON keys, under
    which a client id stands. `own`: the file is Holdfast's own; of somebody else's files only tables of clients are
    cleaned. `into`: the cleaned file is written there, and `path` stays as it is. `headers`: see `Erasure`.

    - CSV, plain or gzip: the records whose field under one of `columns` is the id; the other bytes stay.
    - Parquet files and Excel workbooks: likewise; see `clean_parquet` and `clean_workbook`.
    - JSON and JSON lines: see `clean_json` and `clean_json_lines`; somebody else's are not touched.
    - Other text, and CSV without such a column: the lines that mention the client (see `Mention`); somebody else's
      is not touched.
    - HTML, SVG, XML, databases, archives, and everything else: not touched. What is damaged or encrypted: None.

    A row that names no client, or cannot be read, is removed if it mentions the one to be erased. A row that names
    another client is that client's, and stays as it is; `mentions` tells whether such a row mentions the erased one.
    A link is 0: what it leads to is cleaned under its own name.

    Raises ConfigurationError for an id that is empty; Changed where others changed the file meanwhile; CannotWrite,
    NotPermitted or InputOutputError.
    """
    return clean(path, Erasure(Mention(client), columns, own, into, headers))


def clean(path: Path, erasure: Erasure) -> int | None:
    """As `scrub_file`, with cells read and copies kept as the erasure says."""
    try:
        with opened(path) as stream:
            return 0 if stream is None else _clean(path, stream, erasure)
    except Opaque:
        return None


def _clean(path: Path, stream: BinaryIO, erasure: Erasure) -> int | None:
    seen = os.fstat(stream.fileno())
    kind = kind_of(stream.read(BEGINNING))
    if kind == "parquet":
        return clean_parquet(path, erasure, seen)
    if kind == "zip" and is_workbook(path):
        return clean_workbook(path, erasure, seen)
    if kind in NOT_PACKED_AGAIN:
        return _untouched(path, erasure)
    stream.seek(0)
    source = unpacked(stream, kind)
    inner = kind_of(source.read(BEGINNING))
    if inner not in {"text", "json"} or (inner == "json" and not erasure.own):
        return _untouched(path, erasure)
    source.seek(0)
    if not erasure.mention.occurs(source):
        return 0
    source.seek(0)

    def write(new: Path) -> int | None:
        with new.open("wb") as file:
            if kind != "gzip":
                return _copy_without(source, file, inner, erasure)
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as sink:
                return _copy_without(source, cast(BinaryIO, sink), inner, erasure)

    removed = rewrite(path, write, erasure.into, seen)
    return _untouched(path, erasure) if removed is None else removed


def _untouched(path: Path, erasure: Erasure) -> int | None:
    return None if holds(path, erasure) else 0


def _copy_without(source: BinaryIO, sink: BinaryIO, kind: Kind, erasure: Erasure) -> int | None:
    if kind == "text":
        return clean_text(source, sink, erasure)
    first = source.readline()
    if clean_json(first, erasure) and source.read(BLOCK).strip():
        source.seek(0)
        return clean_json_lines(source, sink, erasure)
    source.seek(0)
    document = source.read()
    cleaned = clean_json(document, erasure)
    if cleaned:
        sink.write(cleaned[0])
        return cleaned[1]
    if MEANT_AS_JSON.match(document):
        return None
    source.seek(0)
    return clean_text(source, sink, erasure)
