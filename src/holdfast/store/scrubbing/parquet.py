"""One client in Parquet files: its rows taken out, and every place where a file may still hold it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from holdfast.store.scrubbing.cells import CellReader
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.scrubbing.rewriting import rewrite

Mask = NDArray[np.bool_]

SCHEMA_KEY = b"ARROW:schema"
BATCH_ROWS = 64 << 10
TEXTS = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
SPECIAL_ENCODINGS = ("DELTA", "BYTE_STREAM")
UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VIEWS = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


def clean_parquet(path: Path, erasure: Erasure, seen: os.stat_result | None = None) -> int | None:
    """Write the file again, a row group at a time, without the client's rows; returns how many there were.

    Those are the rows with its id in a client column, and, of the rows that name no client there (or in a file of
    Holdfast's own that has no such column), those in which any text mentions it. A typed cell is the id that
    ingestion makes of it. Schema, metadata, compression, the order of the rows and their groups stay. None where the
    metadata mentions the client, a nested dictionary could keep it, or somebody else's table mentions it and is no
    table of clients. `seen`: see `rewrite`.
    """
    with pq.ParquetFile(path, pre_buffer=False) as file:
        if not erasure.own and erasure.columns.isdisjoint(file.schema_arrow.names):
            return None if parquet_mentions(path, erasure) else 0
        groups = range(file.num_row_groups)
        if not any(_belonging(file.read_row_group(group), erasure).any() for group in groups):
            return None if _in_metadata(file.metadata, erasure.mention) else 0
        if _in_metadata(file.metadata, erasure.mention) or any(map(_nests_dictionary, file.schema_arrow)):
            return None
        return rewrite(path, lambda new: _write_without(file, new, erasure), erasure.into, seen)


def parquet_mentions(path: Path, erasure: Erasure) -> bool:
    """True if a value, a dictionary, the statistics, a column's name or the metadata of the file mention the client.

    In a client column a cell mentions it that ingestion reads as the id; elsewhere a text, a UUID, or a whole number,
    if the id is no short one.
    """
    mention = erasure.mention
    with pq.ParquetFile(path) as file:
        leaves = [file.schema.column(place) for place in range(len(file.schema))]
        names = (name for leaf in leaves for name in leaf.path.split("."))
        if _in_metadata(file.metadata, mention) or _in_statistics(file.metadata, mention):
            return True
        if any(map(mention.in_text, names)):
            return True
        encoded = _dictionary_encoded(file.metadata)
    # As dictionaries, so that values which no row uses any more are seen too.
    with pq.ParquetFile(path, read_dictionary=encoded, pre_buffer=False) as file:
        batches = file.iter_batches(BATCH_ROWS) if file.num_row_groups else ()
        return any(
            _any_mention(column, erasure) or (name in erasure.columns and bool(_equal(column, erasure).any()))
            for batch in batches
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        )


def _in_metadata(metadata: pq.FileMetaData, mention: Mention) -> bool:
    pairs = metadata.metadata or {}
    texts = [text for key, value in pairs.items() if key != SCHEMA_KEY for text in (key, value)]
    return any(map(mention.in_bytes, texts))


def _in_statistics(metadata: pq.FileMetaData, mention: Mention) -> bool:
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    chunks = (group.column(place) for group in groups for place in range(metadata.num_columns))
    ranges = (chunk.statistics for chunk in chunks if chunk.physical_type in TEXTS and chunk.is_stats_set)
    extremes = (value for found in ranges if found.has_min_max for value in (found.min, found.max))
    return any(
        mention.in_bytes(value) if isinstance(value, bytes) else mention.in_text(str(value)) for value in extremes
    )


def _dictionary_encoded(metadata: pq.FileMetaData) -> list[str]:
    """The text columns with dictionaries, but for those that Arrow cannot read as such."""
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    chunks = [group.column(place) for group in groups for place in range(metadata.num_columns)]
    texts = {chunk.path_in_schema for chunk in chunks if chunk.physical_type in TEXTS and chunk.has_dictionary_page}
    return sorted(texts - {chunk.path_in_schema for chunk in chunks if _special_encodings(chunk)})


def _special_encodings(chunk: pq.ColumnChunkMetaData) -> set[str]:
    return {encoding for encoding in chunk.encodings if encoding.startswith(SPECIAL_ENCODINGS)}


def _nests_dictionary(of: pa.Field) -> bool:
    fields = [of.type.field(place) for place in range(of.type.num_fields)]
    return any(pa.types.is_dictionary(field.type) or _nests_dictionary(field) for field in fields)


# ---- which rows


def _belonging(table: pa.Table, erasure: Erasure) -> Mask:
    """The rows to remove (n,)."""
    client, others, mentioned = (np.zeros(table.num_rows, dtype=bool) for _ in range(3))
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in erasure.columns:
            equal = _by_chunk(column, lambda chunk: _equal(chunk, erasure))
            client |= equal
            others |= _by_chunk(column, lambda chunk: _is_filled(chunk, erasure.cells)) & ~equal
        else:
            mentioned |= _by_chunk(column, lambda chunk: _mentioning(chunk, erasure.mention))
    return client | (mentioned & ~others)


def _by_chunk(column: pa.ChunkedArray, judge: Callable[[pa.Array], Mask]) -> Mask:
    return np.concatenate([np.zeros(0, dtype=bool), *map(judge, column.chunks)])


def _equal(values: pa.Array, erasure: Erasure) -> Mask:
    kind = values.type
    if _is_text(kind):
        return _true(pc.equal(_as_binary(values), erasure.mention.data))
    if pa.types.is_dictionary(kind):
        return _among_dictionary(values, _equal(values.dictionary, erasure))
    texts = erasure.cells.texts(values)
    return np.zeros(len(values), dtype=bool) if texts is None else _true(pc.equal(texts, erasure.mention.client))


def _is_filled(values: pa.Array, cells: CellReader) -> Mask:
    filled: Mask = values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(values.type):
        return filled & _among_dictionary(values, _is_filled(values.dictionary, cells))
    texts = _as_binary(values) if _is_text(values.type) else cells.texts(values)
    return filled if texts is None else filled & _true(pc.greater(pc.binary_length(texts), 0))


def _mentioning(values: pa.Array, mention: Mention) -> Mask:
    """The values (n,), nested ones too, that mention the client in a text."""
    kind = values.type
    if _is_text(kind):
        return _texts_mentioning(values, mention)
    if pa.types.is_dictionary(kind):
        return _among_dictionary(values, _mentioning(values.dictionary, mention))
    found = np.zeros(len(values), dtype=bool)
    if pa.types.is_struct(kind):
        for inner in values.flatten():
            found |= _mentioning(inner, mention)
    elif _is_list(kind):
        inner = _mentioning(values.flatten(), mention)
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        found[np.repeat(np.arange(len(values)), lengths)[inner]] = True
    elif pa.types.is_map(kind):
        return _mentioning(values.cast(pa.list_(pa.struct([kind.key_field, kind.item_field]))), mention)
    return found


def _texts_mentioning(values: pa.Array, mention: Mention) -> Mask:
    binary = _as_binary(values)
    if mention.is_plain:
        candidates = _true(pc.match_substring(binary, mention.client))
    else:
        candidates = _true(pc.match_substring_regex(binary, mention.spellings))
    places = np.flatnonzero(candidates)
    for place, text in zip(places, binary.take(pa.array(places)).to_pylist(), strict=True):
        candidates[place] = mention.in_bytes(text)
    return candidates


def _any_mention(values: pa.Array, erasure: Erasure) -> bool:
    """True if the values, or a dictionary anywhere in them, mention the client."""
    kind, mention = values.type, erasure.mention
    if pa.types.is_dictionary(kind):
        return _any_mention(values.dictionary, erasure)
    if pa.types.is_struct(kind):
        return any(_any_mention(inner, erasure) for inner in values.flatten())
    if _is_list(kind):
        return _any_mention(values.flatten(), erasure)
    if pa.types.is_map(kind):
        return _any_mention(values.keys, erasure) or _any_mention(values.items, erasure)
    if _is_text(kind):
        return bool(_texts_mentioning(values, mention).any())
    is_number = pa.types.is_integer(kind) and mention.data.isdigit() and not mention.is_short_number
    is_uuid = kind == pa.uuid() and UUID.fullmatch(mention.client)
    return bool((is_number or is_uuid) and _equal(values, erasure).any())


def _is_text(kind: pa.DataType) -> bool:
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(kind) for test in tests)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _as_binary(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_binary())


def _true(values: pa.Array) -> Mask:
    mask: Mask = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return mask.copy()


def _among_dictionary(values: pa.DictionaryArray, of_dictionary: Mask) -> Mask:
    indices = values.indices.cast(pa.int64()).fill_null(len(of_dictionary)).to_numpy()
    mask: Mask = np.append(of_dictionary, False)[indices]
    return mask


# ---- the new file


def _write_without(file: pq.ParquetFile, new: Path, erasure: Erasure) -> int:
    removed = 0
    with pq.ParquetWriter(new, file.schema_arrow, **_manner(file.metadata)) as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            gone = _belonging(table, erasure)
            removed += int(gone.sum())
            if not gone.all():
                kept = _without(table, gone)
                writer.write_table(kept, row_group_size=kept.num_rows)
    return removed


def _manner(metadata: pq.FileMetaData) -> dict[str, Any]:
    """How the columns of the file were written, as options of a ParquetWriter."""
    chunks = [metadata.row_group(0).column(place) for place in range(metadata.num_columns)]
    codecs = {chunk.path_in_schema: chunk.compression for chunk in chunks}
    special = {chunk.path_in_schema: _special_encodings(chunk) for chunk in chunks if not chunk.has_dictionary_page}
    return {
        "version": metadata.format_version if metadata.format_version in {"1.0", "2.4"} else "2.6",
        "compression": {path: "NONE" if codec == "UNCOMPRESSED" else codec for path, codec in codecs.items()},
        "use_dictionary": [chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page] or False,
        "column_encoding": {path: min(encodings) for path, encodings in special.items() if encodings} or None,
        "write_statistics": [chunk.path_in_schema for chunk in chunks if chunk.is_stats_set] or False,
        "write_page_index": any(chunk.has_column_index for chunk in chunks),
        "use_deprecated_int96_timestamps": any(chunk.physical_type == "INT96" for chunk in chunks),
        "sorting_columns": metadata.row_group(0).sorting_columns or None,
        "store_schema": SCHEMA_KEY in (metadata.metadata or {}),
    }


def _without(table: pa.Table, gone: Mask) -> pa.Table:
    kept = pa.array(~gone)
    columns = [_filtered(column, kept) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _filtered(column: pa.ChunkedArray, kept: pa.BooleanArray) -> pa.ChunkedArray:
    kind = column.type
    if kind in VIEWS:  # which Arrow does not filter yet
        return column.cast(VIEWS[kind]).filter(kept).cast(kind)
    filtered = column.filter(kept)
    if pa.types.is_dictionary(kind):
        return pa.chunked_array(map(_compacted, filtered.chunks), kind)
    return filtered


def _compacted(values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values with a dictionary of those in use: the others would be written, too."""
    kind = values.indices.type
    used = np.unique(values.indices.drop_null().to_numpy(zero_copy_only=False))
    indices = pc.index_in(values.indices, pa.array(used, kind)).cast(kind)
    dictionary = values.dictionary.take(pa.array(used))
    return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=values.type.ordered)
