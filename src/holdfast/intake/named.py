"""Whom a refused row may belong to: the one rule by which ingestion leaves it out, and erasure takes it out."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

from holdfast.sources.repaired import fields_of
from holdfast.store.scrubbing.documents import ERASED
from holdfast.store.scrubbing.mention import SHORT_NUMBER

SEPARATOR = re.compile('[,;"\t\r\n]')
WORD = re.compile(r"[\w.-]+", re.ASCII)
BETWEEN_BLANKS = re.compile(r"\S+")
LETTER = re.compile(r"[^\W\d_]")
ENDS_TRIED = 12
"""From where a word begins, an id is tried that ends at one of so many places: up to eight words or so."""
LOOKED_THROUGH = 1 << 16
"""So many characters of a text are, as each word of them is tried so often."""

TOLD = ("message", "column", "value_excerpt", "hint")
"""What an error's record may tell of the rows of a file."""
CUT = re.compile(r'(?:"[^"]*|[^,;\t"]*[^,;\t"\s])…')
"""A value of which an excerpt holds the beginning alone."""
ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U[0-9a-f]{8}|[tnr])")


def ids_named_in(text: str | None, header: Sequence[str], client: str) -> Set[str]:
    r"""Every id whose client a refused row may belong to; `client` is the column of ids in the `header`.

    A row with as many fields as the header is that of the client whose id it has. Where the fields cannot be told
    apart, or no id is in its column, it may be that of anybody whom it mentions: by a field, by what stands between
    two separators, or by some words in a row (eight or so) with a letter in them. A number of at most four digits is
    an id only as a whole field, and is a value where the fields are told apart. A text that was let go (None) names
    nobody.

    >>> sorted(ids_named_in("5,acme,we met beta", ("visits", "client", "note"), "client"))
    ['acme']
    >>> {"acme", "see acme"} <= ids_named_in("5,,see acme", ("visits", "client", "note"), "client")
    True
    >>> "Miller, Sons" in ids_named_in("Miller, Sons,1,0", ("client", "visits", "exited"), "client")
    True
    """
    if text is None:
        return set()
    fields = fields_of(text)
    told_apart = fields is not None and len(fields) == len(header) and client in header
    if fields and told_apart and (named := fields[header.index(client)]):
        return {named}
    whole = {*(fields or ()), *SEPARATOR.split(text)}
    words = {text[start:end] for start, end in _words(text)}
    numbers = filter(_is_short_number, whole | words if told_apart else words - whole)
    return (whole | words).difference(numbers, ("",)).union(filter(LETTER.search, _runs(text[:LOOKED_THROUGH])))


def told_without(
    error: Mapping[str, Any], theirs: Callable[[Set[str]], Set[str]], may_begin: Callable[[str], bool]
) -> dict[str, Any]:
    """The record of an error without clients: `theirs` picks their ids from those that a text names, and `may_begin`
    says of a value that was cut off whether an id of theirs may be what it begins.

    Of a message the ids are blanked, of an excerpt of the file everything, as all of it may be theirs.
    """
    told = dict(error)
    for key in TOLD:
        if text := error.get(key):
            text = CUT.sub(lambda cut: "…" if may_begin(cut[0][:-1]) else cut[0], text)
            told[key] = _blanked(text, theirs, whole=key == "value_excerpt")
    return told


def _blanked(text: str, theirs: Callable[[Set[str]], Set[str]], *, whole: bool) -> str:
    as_delivered = ESCAPE.sub(lambda escape: escape[0].encode().decode("unicode_escape"), text)
    named = theirs(ids_named_in(text, (), ""))
    if (whole and named) or (as_delivered != text and theirs(ids_named_in(as_delivered, (), ""))):
        return ERASED
    for each in sorted(named, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(each)}(?![\w-])", lambda _: ERASED, text)
    return text


def _is_short_number(text: str) -> bool:
    return len(text) <= SHORT_NUMBER and text.isascii() and text.isdigit()


def _runs(text: str) -> Iterator[str]:
    """What begins where a word or a field does, and ends where one of the next words or fields does."""
    words = [*_words(text), *(match.span() for match in BETWEEN_BLANKS.finditer(text))]
    separators = [match.span() for match in SEPARATOR.finditer(text)]
    starts = {0, *(start for start, _ in words), *(end for _, end in separators)}
    ends = sorted({len(text), *(end for _, end in words), *(start for start, _ in separators)})
    for start in starts:
        first = bisect_right(ends, start)
        for end in ends[first : first + ENDS_TRIED]:
            yield text[start:end]


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each word, without and with dots after it: letters, marks, digits, `_`, `-` and `.`."""
    for start, end in _spans(text):
        dots = end - start - len(text[start:end].rstrip("."))
        yield from ((start, end - dots), (start, end)) if 0 < dots < end - start else ((start, end),)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    if text.isascii():
        yield from (match.span() for match in WORD.finditer(text))
        return
    place = 0
    for is_word, characters in groupby(text, _is_of_word):
        start, place = place, place + len(list(characters))
        if is_word:
            yield start, place


def _is_of_word(character: str) -> bool:
    return character in "_-." or unicodedata.category(character)[0] in "LMN"
