"""How much one delivery may be: what a stranger's file may cost in memory, time and disk before it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from holdfast.errors import ConfigurationError, excerpt, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one delivered file, checked before and while it is read. Of a database only one counts.

    `cells`: rows times columns. `columns`: columns of the header. `field_characters`: characters of one field, of a
    file or a database. `unpacked_bytes`: what a compressed file may unpack to. `ratio`: how many times larger than the
    file that may be, beyond the first 10 MB. `seconds` and `memory_bytes`: of the process that reads it.
    """

    cells: int = 2_000_000_000
    columns: int = 1_000
    field_characters: int = 65_536
    unpacked_bytes: int = 64 << 30
    ratio: int = 200
    seconds: int = 3_600
    memory_bytes: int = 2 << 30


LEAST = Limits(
    cells=1_000,
    columns=2,
    field_characters=32,
    unpacked_bytes=1_000_000,
    ratio=2,
    seconds=10,
    memory_bytes=256 << 20,
)
"""Below these no ordinary file could be read: a column less is no table, a number has up to 25 characters, the reading
process alone takes up to half a second and 100 MB."""

MOST = 1 << 50
MOST_COLUMNS = 100_000


def limits_from_json(data: object) -> Limits:
    """The limits that the key `limits` of config.json sets; those that it does not name keep their defaults.

    Raises ConfigurationError, naming the key: it is unknown, or its value is no whole number or less than LEAST.

    >>> limits_from_json({"columns": 50}).columns
    50
    """
    if not isinstance(data, Mapping):
        raise ConfigurationError("'limits' must be an object", column="limits")
    known = [field.name for field in fields(Limits)]
    for name, value in data.items():
        if name not in known:
            close = nearest(str(name), known)
            hint = f"did you mean '{close}'?" if close else f"known: {', '.join(known)}"
            raise ConfigurationError(f"unknown key 'limits.{name}'", column=str(name), hint=hint)
        least, most = getattr(LEAST, name), MOST_COLUMNS if name == "columns" else MOST
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            found = f"from {least:,} to {most:,}, found {excerpt(repr(value))}"
            hint = f"without this key it is {getattr(Limits(), name):,}"
            raise ConfigurationError(f"'limits.{name}' must be a whole number {found}", column=name, hint=hint)
    return Limits(**data)
