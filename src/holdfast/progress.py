"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how many rows are done, and of how many (None when not known)."""


def silent(_what: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""
