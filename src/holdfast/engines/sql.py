"""Names and texts as SQL takes them, whatever they contain."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A column's or table's name as an identifier; quotes in it are doubled.

    >>> print(quoted('visits'))
    "visits"
    """
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a constant; apostrophes in it are doubled.

    >>> print(text("it's"))
    'it''s'
    """
    return "'" + value.replace("'", "''") + "'"
