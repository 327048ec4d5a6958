"""One client taken out of JSON."""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
from typing import Any

from holdfast.store.scrubbing.mention import Erasure

CLIENT_KEY = "client"
VALUES = "values"
"""The key of a traced row's values, by column."""
ERASED = "[erased]"
OTHERWISE_ERASED = "[removed]"
"""For a client whose id the usual mark would mention."""

Json = Any


def clean_json(data: bytes, erasure: Erasure, *, whole: bool = False) -> tuple[bytes, int] | None:
    """A JSON text without the client, and how many values were removed or redacted; None for what is not JSON.

    In a list, objects whose client key (`client`, or one of the columns) is the id are removed, and those whose
    `values` are about it. In an object, the entry keyed by the id is removed. Any other string that is the id or
    mentions it becomes "[erased]", unless it is another client's id, under a client key. Numbers count only under a
    client key. With `whole` nothing is left of a text that is itself an object about the client.

    A short number is mentioned by a string that is a row of the client, or says "client" before it, as lineage does.

    A text is not JSON, too, where writing it again would change what it means: a key that is there twice, a number
    too large for a double, nesting too deep to follow.
    """
    eraser = _Eraser(erasure)
    try:
        body = data.removeprefix(codecs.BOM_UTF8)
        value = json.loads(body.decode(), object_pairs_hook=_single_keys, parse_float=_finite)
        if whole and eraser.is_about_client(value):
            return b"", 1
        cleaned = eraser.cleaned(value)
        if not eraser.removed:
            return data, 0
        return data[: len(data) - len(body)] + _same_spacing(body, cleaned), eraser.removed
    except (ValueError, RecursionError):
        return None


class _Eraser:
    def __init__(self, erasure: Erasure) -> None:
        self._erasure = erasure
        self._mention = erasure.mention
        self._keys = erasure.columns | {CLIENT_KEY}
        self._mark = OTHERWISE_ERASED if self._mention.in_text(ERASED) else ERASED
        self.removed = 0

    def is_about_client(self, value: Json) -> bool:
        if not isinstance(value, dict):
            return False
        is_client = any(self._is_client(value[key]) for key in self._keys & value.keys())
        return is_client or self.is_about_client(value.get(VALUES))

    def cleaned(self, value: Json, *, is_id: bool = False) -> Json:
        """The value without the client; `is_id` where it stands under a client key."""
        if isinstance(value, dict):
            self.removed += self._mention.client in value
            entries = ((key, each) for key, each in value.items() if key != self._mention.client)
            return {key: self.cleaned(each, is_id=key in self._keys) for key, each in entries}
        if isinstance(value, list):
            others = [each for each in value if not self.is_about_client(each)]
            self.removed += len(value) - len(others)
            return [self.cleaned(each, is_id=is_id) for each in others]
        if self._is_client(value) if is_id else self._mentions(value):
            self.removed += 1
            return self._mark
        return value

    def _is_client(self, value: Json) -> bool:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return bool((str(value) if is_number else value) == self._mention.client)

    def _mentions(self, value: Json) -> bool:
        if not isinstance(value, str) or value == self._mark:
            return False
        if not self._mention.is_short_number:
            return self._mention.in_text(value)
        if value in {self._mention.client, f"client {self._mention.client}"}:
            return True
        return self._mention.in_text(value) and any(map(self._erasure.names_client, _rows(value)))


def _rows(text: str) -> list[list[str]]:
    """A text as CSV; nothing where it is none."""
    try:
        return list(csv.reader(text.splitlines(), strict=True))
    except csv.Error:
        return []


def _same_spacing(original: bytes, value: Json) -> bytes:
    """A value as JSON in the manner of the text that it came from: indentation, separators, line end at the end."""
    indentation = re.match(rb"\s*[\[{]\r?\n([ \t]+)", original)
    compact = not indentation and not re.search(rb'[,:] ["\d\[{tfn-]', original)
    text = json.dumps(
        value,
        indent=indentation[1].decode() if indentation else None,
        separators=(",", ":") if compact else None,
        ensure_ascii=original.isascii() or b"\\u" in original,
    )
    return text.encode() + original[len(original.rstrip()) :]


def _single_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large for a double")
    return number
