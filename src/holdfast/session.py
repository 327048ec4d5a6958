"""One command at work: the lock, the ledger, the log and the engine, opened once and shared by the steps inside."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holdfast.errors import (
    DONE,
    DONE_WITH_QUARANTINE,
    INTERRUPTED,
    HoldfastError,
    UsageError,
    exit_status_of_code,
    from_os_error,
)
from holdfast.progress import Progress, silent
from holdfast.records import ErasureReceipt, IngestRecord, RunRecord, SchemaCheck, to_json
from holdfast.store.copies import sweep
from holdfast.store.files import locked
from holdfast.store.journal import Journal
from holdfast.workspace import Workspace, current_user

if TYPE_CHECKING:
    from holdfast.engines.base import Engine
    from holdfast.sources.readers import Readers
    from holdfast.store.ledger import Ledger

LISTS_IN_HISTORY = 100


def exit_status_of(record: object) -> int:
    """0; 3 when rows or files were quarantined or refused on the way; 69 when a source did not answer."""
    taken = record.ingest if isinstance(record, RunRecord) else record
    if isinstance(taken, IngestRecord) and taken.unreachable:
        return exit_status_of_code(taken.unreachable[0]["code"])
    if isinstance(taken, IngestRecord) and (taken.quarantined or taken.refused):
        return DONE_WITH_QUARANTINE
    if isinstance(record, ErasureReceipt) and record.remaining:
        return DONE_WITH_QUARANTINE
    if isinstance(record, SchemaCheck):
        return int(record.exit_status)
    return DONE


def utc_now() -> str:
    """The time as every record writes it: UTC, to the second.

    >>> utc_now().endswith("Z")
    True
    """
    return utc(datetime.now(UTC))


def utc(moment: datetime) -> str:
    """A time in UTC as every record writes it.

    >>> utc(datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    '2026-01-31T09:30:00Z'
    """
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Session:
    """What a step works with. `worked` is set to False by a step that found nothing to do."""

    workspace: Workspace
    run_id: str
    parent: str | None
    started: str
    progress: Progress
    ledger: Ledger
    engine: Engine
    journal: Journal
    readers: Readers
    clock: float = field(default_factory=time.perf_counter)
    worked: bool = True
    result: Any = None

    @property
    def seconds(self) -> float:
        """Seconds since this step began."""
        return time.perf_counter() - self.clock


@contextmanager
def begin(where: Workspace | Session, command: str, progress: Progress = silent) -> Iterator[Session]:
    """A session for `command`: a new one on a workspace, or one inside the session of a larger command.

    On the way out the run goes to the ledger and the log, whether it ended well or not.
    Raises Busy when another command is at work in the workspace.
    """
    if isinstance(where, Session):
        inner = replace(
            where,
            run_id=_new_run_id(),
            parent=where.run_id,
            started=utc_now(),
            clock=time.perf_counter(),
            worked=True,
            result=None,
        )
        with _recorded(inner, command):
            yield inner
        return
    with ExitStack() as stack:
        stack.enter_context(locked(where.state_folder / "lock"))
        _sweep(where)
        with _recorded(_open(where, stack, progress), command) as session, _cleared_after_errors(where):
            yield session


@contextmanager
def reading(workspace: Workspace, progress: Progress = silent) -> Iterator[tuple[Ledger, Engine]]:
    """The ledger and the engine for looking only: no lock, nothing recorded, no file made in the workspace.

    A workspace without a ledger reads as one in which nothing has happened yet.
    """
    from holdfast.engines.duckdb import DuckDBEngine
    from holdfast.store.ledger import Ledger

    file = workspace.ledger_file if workspace.ledger_file.is_file() else None
    with Ledger(file, read_only=True) as ledger, DuckDBEngine(progress=progress) as engine:
        yield ledger, engine


def _open(workspace: Workspace, stack: ExitStack, progress: Progress) -> Session:
    from holdfast.engines.duckdb import DuckDBEngine
    from holdfast.sources.readers import Readers
    from holdfast.store.ledger import Ledger

    try:
        workspace.state_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, "write", str(workspace.state_folder)) from None
    journal = Journal(workspace.log_folder)
    stack.callback(journal.close)
    return Session(
        workspace=workspace,
        run_id=_new_run_id(),
        parent=None,
        started=utc_now(),
        progress=progress,
        ledger=stack.enter_context(Ledger(workspace.ledger_file)),
        engine=stack.enter_context(DuckDBEngine(workspace.state_folder, progress)),
        journal=journal,
        readers=stack.enter_context(Readers(1)),
    )


def _sweep(workspace: Workspace) -> None:
    """Remove what killed commands left. The lock is held, and readers make no files: nobody is using them."""
    for pattern in ("scratch-*", "spill-*"):
        for folder in workspace.state_folder.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
    sweep(workspace.state_folder)
    _remove_unfinished(workspace)


def _remove_unfinished(workspace: Workspace) -> None:
    for unfinished in workspace.output_folder.glob("**/.*.parquet.tmp"):
        unfinished.unlink(missing_ok=True)


@contextmanager
def _cleared_after_errors(workspace: Workspace) -> Iterator[None]:
    """Remove what a command that failed did not finish: on a full disk its record needs the room."""
    try:
        yield
    except BaseException:
        _remove_unfinished(workspace)
        raise


@contextmanager
def _recorded(session: Session, command: str) -> Iterator[Session]:
    session.journal.write("started", utc_now(), command=command, run=session.run_id, parent=session.parent)
    try:
        yield session
    except HoldfastError as error:
        error.run_id = session.run_id
        _record_failure(session, command, "refused" if error.exit_status < UsageError.exit_status else "failed", error)
        raise
    except Exception as error:
        _record_failure(session, command, "failed", _as_known(error))
        raise
    except BaseException:
        _record_failure(session, command, "interrupted", None)
        raise
    _record(session, command, "done", None)


def _record_failure(session: Session, command: str, status: str, error: HoldfastError | None) -> None:
    """Like `_record`, but what went wrong before is what the caller has to hear of."""
    try:
        _record(session, command, status, error)
    except HoldfastError as second:
        session.journal.write("unrecorded", utc_now(), command=command, run=session.run_id, error=second.record())


def _as_known(error: Exception) -> HoldfastError:
    if isinstance(error, OSError):
        return from_os_error(error, "read or write", str(error.filename or "a file"))
    return HoldfastError(f"{type(error).__name__}: {error}")


def _record(session: Session, command: str, status: str, error: HoldfastError | None) -> None:
    exit_status = error.exit_status if error else exit_status_of(session.result) if status == "done" else INTERRUPTED
    cause = error.record(session.run_id) if error else None
    session.journal.write(
        status, utc_now(), command=command, run=session.run_id, seconds=round(session.seconds, 3), error=cause
    )
    session.ledger.record_run(
        {
            "id": session.run_id,
            "parent": session.parent,
            "command": command,
            "actor": current_user(),
            "started": session.started,
            "seconds": session.seconds,
            "status": status,
            "exit_status": exit_status,
            "worked": session.worked,
            "error": None if cause is None else json.dumps(cause),
            "record": None if session.result is None else json.dumps(_shortened(to_json(session.result))),
        }
    )


def _shortened(value: Any) -> Any:
    """Lists of rows have files of their own: the history keeps their beginning, and of refused rows nothing, so that
    they can be let go.
    """
    if isinstance(value, list):
        return [_shortened(item) for item in value[:LISTS_IN_HISTORY]]
    if isinstance(value, dict):
        return {key: _shortened(item) if key != "rejected" else [] for key, item in value.items()}
    return value


def _new_run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
