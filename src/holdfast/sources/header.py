"""The first line of a delivered file against the schema: which column stands where, or why the file is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.errors import FileRefused, excerpt, nearest
from holdfast.schema import Schema

OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SHOWN_NAMES = 12


def match_header(
    header: Sequence[str], schema: Schema, name: str, *, line: int | None = 1, target_required: bool = True
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Where each column of the schema stands in the file, and notices about columns that are not used.

    Raises FileRefused for missing, repeated or misspelt columns, with what was found and what may be meant.

    >>> from holdfast.schema import BRIEF_SCHEMA
    >>> header = ["exited", "corporation", "note", *BRIEF_SCHEMA.names[1:4]]
    >>> match_header(header, BRIEF_SCHEMA, "march.csv")[1]
    ('march.csv: 1 column not in the schema is left out: note',)
    """
    wanted = [column.name for column in schema.delivered]
    _refuse_other_delimiters(header, wanted, name, line)
    for column in wanted:
        if header.count(column) > 1:
            raise FileRefused("this column appears more than once", file=name, row=line, column=column)
    extra = [column for column in header if column not in wanted]
    missing = [c for c in wanted if c not in header and (target_required or c != schema.target.name)]
    if missing:
        _refuse_missing(missing, header, extra, name, line)
    meant = {column.strip().casefold(): column for column in wanted}
    for variant in extra:
        if variant.strip().casefold() in meant:
            twin = meant[variant.strip().casefold()]
            message = f"'{excerpt(variant)}' and '{twin}' differ only in case or spaces"
            raise FileRefused(message, file=name, row=line, column=excerpt(variant))
    # The dataset's own file has a client column even where deliveries have none.
    places = {column: list(header).index(column) for column in schema.names if column in header}
    unused = [column for column in extra if column not in places]
    return places, ((notice_of_unused(name, unused),) if unused else ())


def notice_of_unused(name: str, columns: Sequence[str]) -> str:
    """That a file has columns which the schema has not."""
    one = len(columns) == 1
    those = "1 column not in the schema is" if one else f"{len(columns):,} columns not in the schema are"
    return f"{name}: {those} left out: {_shown(columns)}"


def _refuse_other_delimiters(header: Sequence[str], wanted: Sequence[str], name: str, line: int | None) -> None:
    for delimiter, word in OTHER_DELIMITERS.items():
        if len(wanted) > 1 and len(header) < len(wanted) and any(delimiter in column for column in header):
            raise FileRefused(
                f"expected {len(wanted)} columns named {_shown(wanted)}; found {len(header)}",
                file=name,
                row=line,
                value=",".join(header),
                hint=f"the fields look separated by {word}; save the file with commas",
            )


def _refuse_missing(
    missing: Sequence[str], header: Sequence[str], extra: Sequence[str], name: str, line: int | None
) -> None:
    meant = {column: close for column in missing if (close := nearest(column, extra))}
    if meant:
        named = ", ".join(f"'{excerpt(close)}' to '{column}'" for column, close in meant.items())
        hint = f"did you mean '{excerpt(next(iter(meant.values())))}'? Rename {named}"
    elif any(field.strip().lstrip("-").replace(".", "", 1).isdigit() for field in header):
        hint = "the first line looks like data: it has to name the columns"
    else:
        hint = "prediction files may omit the target column; other files need every column"
    named_missing = ", ".join(f"'{column}'" for column in missing[:SHOWN_NAMES])
    found = f"no column{'s' * (len(missing) > 1)} {named_missing}"
    raise FileRefused(f"{found}. Found: {_shown(header)}", file=name, row=line, column=missing[0], hint=hint)


def _shown(names: Iterable[str]) -> str:
    """The first names of a list, escaped: they come from a stranger's file."""
    shown = [excerpt(name) for name in names]
    return ", ".join(shown[:SHOWN_NAMES]) + (", …" if len(shown) > SHOWN_NAMES else "")
