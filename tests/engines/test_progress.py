"""Whoever waits for a query is told how far it is."""

from __future__ import annotations

import time

import duckdb
import pytest

from holdfast.engines.progress import LOOK_EVERY, watched


class Told:
    """What progress was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int | None]] = []

    def __call__(self, what: str, done: int, total: int | None) -> None:
        self.calls.append((what, done, total))


def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect(config={"threads": 1})
    opened.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    return opened


def test_a_query_begins_at_no_row() -> None:
    told = Told()
    with connection() as opened, watched(opened, told, "comparing rows", 70):
        pass
    assert told.calls[0] == ("comparing rows", 0, 70)


def test_a_long_query_tells_how_far_it_is() -> None:
    told = Told()
    with connection() as opened, watched(opened, told, "comparing rows", 1_000):
        opened.execute("SELECT sum(hash(a.i, b.i)::DOUBLE) FROM range(30000) a(i), range(4000) b(i)").fetchall()
        time.sleep(2 * LOOK_EVERY)
    assert len(told.calls) > 1
    assert all(0 <= done <= 1_000 and total == 1_000 for _, done, total in told.calls)


def test_nothing_is_told_once_the_query_is_over() -> None:
    told = Told()
    with connection() as opened, watched(opened, told, "comparing rows", 70):
        pass
    before = len(told.calls)
    time.sleep(3 * LOOK_EVERY)
    assert len(told.calls) == before


def test_a_query_that_fails_is_told_of_no_longer() -> None:
    told = Told()
    with connection() as opened:
        with pytest.raises(duckdb.CatalogException), watched(opened, told, "comparing rows", 70):
            opened.execute("SELECT * FROM nowhere")
        before = len(told.calls)
        time.sleep(3 * LOOK_EVERY)
    assert len(told.calls) == before
