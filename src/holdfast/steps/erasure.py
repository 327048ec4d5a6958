"""A client is erased: from dataset, history, quarantine, exports, assessments, delivered files and the record."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.dataset import current_view, reconcile, table_of, write_out
from holdfast.errors import HoldfastError, InputOutputError, UsageError
from holdfast.lineage import resting_on
from holdfast.records import ErasureReceipt, TracedModel, to_json
from holdfast.session import Progress, Session, begin, silent, utc_now
from holdfast.sources.files import digest_of_delivery
from holdfast.store.deltatable import DatasetTable
from holdfast.store.files import write_file
from holdfast.store.releases import current_id
from holdfast.store.scrubbing import mentions, scrub_file, traces
from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import Workspace, current_user

REDACTED = "[erased]"
LOG = "_delta_log"
MADE_AGAIN = (".html", ".svg", ".png", ".pdf")
"""What `holdfast report` makes anew: it is deleted where it cannot be cleaned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Who is erased and why, and what the workspace had before."""

    client: str
    reason: str
    rows: int
    models: tuple[TracedModel, ...]


@dataclass(slots=True)
class _Done:
    cleaned: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)


def erase(workspace: Workspace, client: str, reason: str, progress: Progress = silent) -> ErasureReceipt:
    """Remove a client from every place of the workspace, and keep later deliveries from bringing it back.

    The tombstone comes first: whatever happens then, the client is not taken in again, and calling this once more
    finishes what was begun. Raises UsageError for a reason that is empty or names the client.
    """
    mention = Mention(client)
    if not reason.strip():
        raise UsageError("an erasure needs a reason", hint='--reason "request of 20 November"')
    if mention.in_text(reason):
        raise UsageError("the reason names the client, and the receipt must not", hint="give a case number instead")
    with begin(workspace, "erase", progress) as session:
        reconcile(session)
        key = make_key(workspace.erasure_key_file)
        tombstone = Tombstones(key, frozenset()).tombstone_of(client)
        rows = session.engine.occurrences(current_view(workspace), client=client)
        models, _ = resting_on(session.ledger, {each.delivery for each in rows})
        found = _Found(client=client, reason=reason, rows=len(rows), models=models)
        session.ledger.begin_erasure(session.run_id, utc_now(), tombstone)
        done = _Done()
        _clean_tables(session, client, done)
        _clean_files(session, client, done)
        erasure = Erasure(mention, _client_columns(workspace))
        rewritten = session.ledger.redact(mention.in_text, lambda text: _redacted(text, erasure))
        if rewritten:
            done.cleaned[workspace.show(workspace.ledger_file)] = rewritten
        write_out(session)
        receipt = _receipt(session, tombstone, found, done)
        write_file(workspace.root / receipt.receipt, json.dumps(to_json(receipt), indent=1).encode())
        session.ledger.finish_erasure(session.run_id, receipt)
        session.result = receipt
        return receipt


def _receipt(session: Session, tombstone: str, found: _Found, done: _Done) -> ErasureReceipt:
    workspace = session.workspace
    release = current_id(workspace.deployment_folder)
    return ErasureReceipt(
        tombstone=tombstone,
        reason=found.reason,
        erased=utc_now(),
        actor=current_user(),
        rows=found.rows,
        cleaned=done.cleaned,
        deleted=tuple(done.deleted),
        models=found.models,
        in_production=release if any(release in model.releases for model in found.models) else None,
        unreadable_versions=tuple(done.unreadable),
        elsewhere=tuple(_elsewhere(workspace)),
        remaining=tuple(workspace.show(path) for path in traces(workspace.root, found.client)),
        files_searched=sum(1 for path in workspace.root.rglob("*") if path.is_file()),
        receipt=_receipt_name(workspace, tombstone),
        seconds=session.seconds,
    )


def _receipt_name(workspace: Workspace, tombstone: str) -> str:
    """A name of its own: a client may be erased again, and the first receipt stays."""
    names = (f"erasures/{tombstone[:12]}-{number}.json" for number in itertools.count(1))
    return next(name for name in names if not (workspace.root / name).exists())


def _elsewhere(workspace: Workspace) -> Iterator[str]:
    """Places that Holdfast reads and does not own."""
    yield from (f"the database of source '{source.name}'" for source in workspace.databases)
    for folder in (workspace.input_folder, workspace.test_folder, *workspace.source_folders):
        if not folder.is_relative_to(workspace.root):
            yield str(folder)


def _client_columns(workspace: Workspace) -> frozenset[str]:
    return frozenset({workspace.schema.client.name, "client"})


def _tables(workspace: Workspace) -> list[DatasetTable]:
    """The tables of every dataset that the workspace ever had."""
    folder = workspace.output_folder / "dataset"
    own = table_of(workspace)
    others = [DatasetTable(each, workspace.history_days) for each in sorted(folder.glob("*")) if each != own.folder]
    return [own, *others] if folder.is_dir() else []


def _clean_tables(session: Session, client: str, done: _Done) -> None:
    """New parts without the client take the place of those with it; old files that hold the client are deleted."""
    workspace = session.workspace
    for table in _tables(workspace):
        session.progress("erasing from the dataset", 0, None)
        before = {each.version for each in table.versions()}
        rows, fresh, old = 0, [], []
        for part in table.parts():
            path = table.fresh_path(part.first, part.last)
            removed = _copy_without(part.path, path, client, workspace)
            if removed:
                rows += removed
                fresh.append(path)
                old.append(part)
        if rows:
            table.commit("erasure", add=fresh, remove=old)
            done.cleaned[workspace.show(table.folder)] = rows
        _delete_old_parts(table, client)
        if table.folder == table_of(workspace).folder:
            done.unreadable += [version for version in sorted(before) if not _is_readable(table, version)]


def _copy_without(part: Path, copy: Path, client: str, workspace: Workspace) -> int:
    """Make a copy of a part without the client; returns how many rows it lacks, and makes none when it lacks none."""
    shutil.copyfile(part, copy)
    rows = scrub_file(copy, client, _client_columns(workspace))
    if rows is None:
        copy.unlink()
        raise InputOutputError("this part of the dataset cannot be cleaned", file=workspace.show(part))
    if not rows:
        copy.unlink()
    return rows


def _delete_old_parts(table: DatasetTable, client: str) -> None:
    current = {part.path for part in table.parts()}
    for path in table.folder.glob("*.parquet"):
        if path not in current and mentions(path, client):
            path.unlink()


def _is_readable(table: DatasetTable, version: int) -> bool:
    try:
        table.parts(version)
    except HoldfastError:
        return False
    return True


def _redacted(text: str, erasure: Erasure) -> str:
    """A text of the ledger without the client: JSON loses the values, anything else is gone as a whole."""
    cleaned = clean_json(text.encode(), erasure)
    if cleaned is None or erasure.mention.in_bytes(cleaned[0]):
        return REDACTED
    return cleaned[0].decode()


def _clean_files(session: Session, client: str, done: _Done) -> None:
    """Every file below the workspace but for the tables and the ledger, which have been or will be seen to."""
    workspace = session.workspace
    tables = {table.folder for table in _tables(workspace)}
    for path in sorted(workspace.root.rglob("*")):
        ours = path.parent == workspace.state_folder and path.name.startswith(workspace.ledger_file.name)
        if ours or path.is_symlink() or not path.is_file() or not tables.isdisjoint(path.parents):
            continue
        session.progress("erasing from files", 0, None)
        _clean_file(session, path, client, done)


def _clean_file(session: Session, path: Path, client: str, done: _Done) -> None:
    workspace = session.workspace
    before = digest_of_delivery(path)
    removed = scrub_file(path, client, _client_columns(workspace))
    if removed is None and path.suffix in MADE_AGAIN and path.parent == workspace.model_folder:
        path.unlink()
        done.deleted.append(workspace.show(path))
    elif removed:
        done.cleaned[workspace.show(path)] = removed
        _same_delivery(session, before, path)


def _same_delivery(session: Session, before: str, path: Path) -> None:
    """A delivered file from which the client was erased is no new delivery."""
    now, size = digest_of_delivery(path), path.stat().st_size
    for file in session.ledger.every_delivery():
        if file.digest == before:
            session.ledger.redigest(replace(file, digest=now, size=size, former=(*file.former, before)))
