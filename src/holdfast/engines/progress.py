"""How far DuckDB is with a query, told while it works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.progress import Progress

if TYPE_CHECKING:
    import duckdb

LOOK_EVERY = 0.1


@contextmanager
def watched(connection: duckdb.DuckDBPyConnection, progress: Progress, what: str, rows: int) -> Iterator[None]:
    """While this lasts, `progress` is told how many of `rows` the queries of this connection have gone through.

    The connection needs `enable_progress_bar`, without which DuckDB does not count.
    """
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(LOOK_EVERY):
            percent = connection.query_progress()
            if percent >= 0:  # none is at work yet
                progress(what, round(rows * percent / 100), rows)

    progress(what, 0, rows)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
