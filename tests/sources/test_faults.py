"""Each error of a driver has one meaning, and each meaning one answer."""

from __future__ import annotations

import sqlite3
from typing import get_args

import pytest

from holdfast.errors import HoldfastError, SourceUnreachable
from holdfast.sourcelist import DatabaseSource
from holdfast.sources.faults import (
    ANSWERS,
    MYSQL,
    SQLITE,
    STATES,
    Meaning,
    ReadingInterrupted,
    detail_of,
    fault,
    meaning_of,
)

CRM = DatabaseSource(name="crm", table="clients", seconds=600)


class OfPostgreSQL(Exception):
    """As psycopg raises them."""

    def __init__(self, text: str, state: str | None) -> None:
        super().__init__(text)
        self.sqlstate = state


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (OfPostgreSQL("permission denied for table clients", "42501"), "permission"),
        (OfPostgreSQL("Zugriff verweigert", "42501"), "permission"),
        (OfPostgreSQL('relation "client" does not exist', "42P01"), "missing"),
        (OfPostgreSQL("column does not exist", "42703"), "statement"),
        (OfPostgreSQL("canceling statement due to conflict with recovery", "40001"), "locked"),
        (OfPostgreSQL("deadlock detected", "40P01"), "locked"),
        (OfPostgreSQL("division by zero", "22012"), "value"),
        (OfPostgreSQL("terminating connection due to administrator command", "57P01"), "lost"),
        (OfPostgreSQL('FATAL:  password authentication failed for user "clerk"', None), "sign-in"),
        (OfPostgreSQL('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', None), "sign-in"),
        (OfPostgreSQL('FATAL:  role "clerk" does not exist', None), "sign-in"),
        (OfPostgreSQL('FATAL:  database "company" does not exist', None), "database"),
        (OfPostgreSQL("SSL error: certificate verify failed", None), "lost"),
        (OfPostgreSQL("Connection refused", None), "lost"),
        (Exception(1045, "Access denied"), "sign-in"),
        (Exception(1142, "SELECT command denied"), "permission"),
        (Exception(1213, "Deadlock found"), "locked"),
        (Exception(2013, "Lost connection"), "lost"),
        (sqlite3.OperationalError("no such table: client"), "missing"),
        (sqlite3.OperationalError("Could not decode to UTF-8 column"), "value"),
        (RuntimeError("'cryptography' package is required for caching_sha2_password auth methods"), "driver"),
        (ModuleNotFoundError("No module named 'psycopg'"), "driver"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "value"),
    ],
)
def test_an_error_has_a_meaning(error: BaseException, meaning: Meaning) -> None:
    assert meaning_of(error) == meaning


@pytest.mark.parametrize(
    ("extended", "meaning"), [(sqlite3.SQLITE_BUSY_SNAPSHOT, "locked"), (sqlite3.SQLITE_IOERR_READ, "lost")]
)
def test_sqlite_says_more_than_is_needed(extended: int, meaning: Meaning) -> None:
    error = sqlite3.OperationalError("whatever")
    error.sqlite_errorcode = extended
    assert meaning_of(error) == meaning


def test_every_meaning_has_an_answer() -> None:
    assert set(ANSWERS) == set(get_args(Meaning))
    assert {*STATES.values(), *MYSQL.values(), *SQLITE.values()} <= set(ANSWERS)


@pytest.mark.parametrize("meaning", get_args(Meaning))
def test_an_answer_names_the_source_and_the_next_step(meaning: Meaning) -> None:
    error = fault(meaning, "the driver's words", CRM, "postgresql")
    assert isinstance(error, HoldfastError)
    assert error.file == "crm"
    assert error.message.endswith(": the driver's words")
    assert error.hint
    assert "{" not in str(error)


def test_only_what_another_attempt_may_mend_counts_as_interrupted() -> None:
    mendable = {meaning for meaning in ANSWERS if isinstance(fault(meaning, "", CRM, "mysql"), ReadingInterrupted)}
    assert mendable == {"locked", "broken off"}
    assert issubclass(ReadingInterrupted, SourceUnreachable)


def test_the_detail_is_one_short_line() -> None:
    assert detail_of(Exception('relation "x" does not exist\nLINE 1: SELECT')) == 'relation "x" does not exist'
    assert detail_of(Exception("a\x1b[31m")) == "a\\x1b[31m"
    assert len(detail_of(Exception("x" * 9_999))) == 300


def test_an_error_without_words_is_called_by_its_name() -> None:
    assert detail_of(TimeoutError()) == "TimeoutError"
