"""A client is erased: from dataset, history, quarantine, exports, assessments, delivered files and the record."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holdfast import records
from holdfast.dataset import reconcile, table_of, write_out
from holdfast.errors import InputOutputError, NotPermitted, UsageError
from holdfast.lineage import resting_on
from holdfast.records import ErasureReceipt, SourceFile, TracedModel, to_json
from holdfast.schema import DELIVERY, LINE
from holdfast.session import Progress, Session, begin, silent, utc_now
from holdfast.sources.files import digest_of_delivery
from holdfast.sources.repaired import fields_of
from holdfast.store.deltatable import DatasetTable
from holdfast.store.files import write_file
from holdfast.store.releases import MODEL_FILE, current_id
from holdfast.store.scrubbing import mentions, scrub_file, traces
from holdfast.store.scrubbing.documents import clean_json
from holdfast.store.scrubbing.kinds import explained
from holdfast.store.scrubbing.mention import Erasure, Mention
from holdfast.store.scrubbing.rewriting import rewrite
from holdfast.store.tombstones import Tombstones, make_key
from holdfast.workspace import CONFIG_NAME, Workspace, current_user

REDACTED = "[erased]"
MADE_AGAIN = (".html", ".svg", ".png", ".pdf")
"""What `holdfast report` makes anew: it is deleted where it cannot be cleaned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Why somebody is erased, and what the workspace had before."""

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
    finishes what was begun. Raises UsageError for a reason that is empty or names the client, and for an id that is
    a word of Holdfast's own record.
    """
    mention = Mention(client)
    if not reason.strip():
        raise UsageError("an erasure needs a reason", hint='--reason "request of 20 November"')
    if mention.in_text(reason):
        raise UsageError("the reason names the client, and the receipt must not", hint="give a case number instead")
    with begin(workspace, "erase", progress) as session:
        reconcile(session)
        if client in _own_words(session):
            hint = "nothing was erased; deliver its files again without the client, and delete the old ones"
            raise UsageError("this id is a word of Holdfast's own record, which would break without it", hint=hint)
        key = make_key(workspace.erasure_key_file)
        tombstone = Tombstones(key, frozenset()).tombstone_of(client)
        session.ledger.begin_erasure(session.run_id, utc_now(), tombstone)
        erasure, note = Erasure(mention, _client_columns(workspace)), workspace.state_folder / f"erasing-{tombstone}"
        found, done = _found(session, erasure, note, reason), _Done()
        _clean_tables(session, erasure, done)
        _clean_quarantine(session, erasure, done)
        _clean_files(session, erasure, done)
        write_out(session)
        _clean_ledger(session, erasure, done)  # last: what is written to it after this would lie beside it
        receipt = _receipt(session, tombstone, found, done, _remaining(session, erasure))
        write_file(workspace.root / receipt.receipt, json.dumps(to_json(receipt), indent=1).encode())
        session.ledger.finish_erasure(session.run_id, receipt)
        note.unlink()
        session.result = receipt
        return receipt


def _own_words(session: Session) -> set[str]:
    """What the record calls its own things: fields, states, columns, folders and sources."""
    kinds = [kind for kind in vars(records).values() if is_dataclass(kind)]
    states = (value for kind in kinds for hint in get_type_hints(kind).values() for value in get_args(hint))
    workspace = session.workspace
    named = {workspace.source, *workspace.schema.names, *(file.folder for file in session.ledger.every_delivery())}
    named |= {each.name for kind in kinds for each in fields(kind)}
    return named | {state for state in states if isinstance(state, str)}


def _found(session: Session, erasure: Erasure, note: Path, reason: str) -> _Found:
    """The client's rows in every version of every dataset, and the models that learned from them.

    The note keeps where the rows stood: when an interrupted erasure is called again, they are gone already.
    """
    places = {(row[0], row[1]) for row in json.loads(note.read_bytes())} if note.is_file() else set()
    for table in _tables(session.workspace):
        for part in table.folder.glob("*.parquet"):
            places |= set(_places(part, erasure))
    write_file(note, json.dumps(sorted(places)).encode())
    models, _ = resting_on(session.ledger, {delivery for delivery, _ in places})
    return _Found(reason=reason, rows=len(places), models=models)


def _places(part: Path, erasure: Erasure) -> Iterator[tuple[int, int]]:
    """Delivery and line of each of the client's rows in one file of a table."""
    with explained(part), pq.ParquetFile(part) as file:
        for name in erasure.columns.intersection(file.schema_arrow.names):
            for batch in file.iter_batches(columns=[name, DELIVERY, LINE]):
                rows = batch.filter(pc.equal(batch.column(name), erasure.mention.client))
                yield from zip(rows.column(DELIVERY).to_pylist(), rows.column(LINE).to_pylist(), strict=True)


def _receipt(
    session: Session, tombstone: str, found: _Found, done: _Done, remaining: Collection[Path]
) -> ErasureReceipt:
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
        remaining=tuple(map(workspace.show, remaining)),
        files_searched=sum(1 for path in workspace.root.rglob("*") if path.is_file()),
        receipt=_receipt_name(workspace, tombstone),
        seconds=session.seconds,
    )


def _receipt_name(workspace: Workspace, tombstone: str) -> str:
    """A name of its own: a client may be erased again, and the first receipt stays."""
    names = (f"erasures/{tombstone[:12]}-{number}.json" for number in itertools.count(1))
    return next(name for name in names if not (workspace.root / name).exists())


def _elsewhere(workspace: Workspace) -> Iterator[str]:
    """Places outside the workspace, which are not cleaned: where Holdfast reads, and where it was told to write."""
    yield from (f"the database of source '{source.name}'" for source in workspace.databases)
    read = (workspace.input_folder, workspace.test_folder, *workspace.source_folders)
    written = (workspace.output_folder, workspace.model_folder, workspace.deployment_folder)
    for folder in (*read, *written):
        if not folder.is_relative_to(workspace.root):
            yield str(folder)


def _remaining(session: Session, erasure: Erasure) -> list[Path]:
    """Files in which the byte search still finds the client.

    An id that is a short number is found wherever that number stands for something else. What is left of it in
    the ledger and in quarantine belongs to others, and so it does in a file from which nothing can be removed.
    """
    workspace = session.workspace
    found = traces(workspace.root, erasure.mention.client)
    if not erasure.mention.is_short_number:
        return list(found)
    seen_to = set(_ledger_files(workspace)) | set(_quarantine_files(workspace))
    others = (path for path in found if path.is_file() and path not in seen_to)
    return [path for path in others if _scrubbed(workspace, path, erasure) != 0]


def _client_columns(workspace: Workspace) -> frozenset[str]:
    """What the column of client ids is called: in the schema, in Holdfast's own lists, and as it is delivered."""
    name = workspace.schema.client.name
    delivered = (given for source in workspace.sources for given, meant in source.columns if meant == name)
    ours = {"client"}.difference(workspace.schema.names)
    return frozenset({name, *delivered, *ours})


def _ledger_files(workspace: Workspace) -> list[Path]:
    return sorted(workspace.state_folder.glob(f"{workspace.ledger_file.name}*"))


def _quarantine_files(workspace: Workspace) -> list[Path]:
    return sorted((workspace.output_folder / "quarantine").glob("[0-9]*.parquet"))


def _tables(workspace: Workspace) -> list[DatasetTable]:
    """The tables of every dataset that the workspace ever had."""
    folder = workspace.output_folder / "dataset"
    own = table_of(workspace)
    others = [DatasetTable(each, workspace.history_days) for each in sorted(folder.glob("*")) if each != own.folder]
    return [own, *others] if folder.is_dir() else []


def _clean_tables(session: Session, erasure: Erasure, done: _Done) -> None:
    """New parts without the client take the place of those with it; old files that hold the client are deleted."""
    workspace = session.workspace
    for table in _tables(workspace):
        session.progress("erasing from the dataset", 0, None)
        before = {each.version for each in table.versions()}
        rows, fresh, old = 0, [], []
        for part in table.parts():
            path = table.fresh_path(part.first, part.last)
            removed = _copy_without(part.path, path, erasure, workspace)
            if removed:
                rows += removed
                fresh.append(path)
                old.append(part)
        if rows:
            table.commit("erasure", add=fresh, remove=old)
            done.cleaned[workspace.show(table.folder)] = rows
        _delete_old_parts(table, erasure.mention.client)
        if table.folder == table_of(workspace).folder:
            done.unreadable += [version for version in sorted(before) if not table.is_readable(version)]


def _copy_without(part: Path, copy: Path, erasure: Erasure, workspace: Workspace) -> int:
    """Make a copy of a part without the client; returns how many rows it lacks, and makes none when it lacks none."""
    shutil.copyfile(part, copy)
    rows = scrub_file(copy, erasure.mention.client, erasure.columns)
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


def _clean_quarantine(session: Session, erasure: Erasure, done: _Done) -> None:
    """Refused rows of the client, known by their texts."""
    files = {file.number: file for file in session.ledger.every_delivery()}
    for path in _quarantine_files(session.workspace):
        known = files.get(int(path.name.partition(".")[0]))
        removed = _clean_held(path, erasure, {known.header} if known else set())
        if removed:
            done.cleaned[session.workspace.show(path)] = removed


def _clean_held(path: Path, erasure: Erasure, headers: Collection[tuple[str, ...]]) -> int | None:
    def write(new: Path) -> int:
        with explained(path), pq.ParquetFile(path) as file:
            with pq.ParquetWriter(new, file.schema_arrow, compression="zstd", write_statistics=False) as writer:
                for batch in file.iter_batches():
                    stays = [not _belongs(text, erasure, headers) for text in batch.column("text").to_pylist()]
                    writer.write_batch(batch.filter(pa.array(stays, pa.bool_())))
            return int(file.metadata.num_rows - pq.read_metadata(new).num_rows)

    return rewrite(path, write)


def _belongs(text: str, erasure: Erasure, headers: Collection[tuple[str, ...]]) -> bool:
    """True if a row is the client's, by the client that it names; where that cannot be told, by any mention."""
    if not erasure.mention.in_text(text):
        return False
    fields = fields_of(text) or []
    fitting = [header for header in headers if len(header) == len(fields)]
    named = {fields[place] for header in fitting for place, name in enumerate(header) if name in erasure.columns}
    return erasure.mention.client in named if any(named) else True


def _clean_ledger(session: Session, erasure: Erasure, done: _Done) -> None:
    """Every text of the ledger but for the repaired rows of others, which may mention the client."""
    headers = {file.header for file in session.ledger.every_delivery()}
    rewritten = session.ledger.redact(
        lambda text: _belongs(text, erasure, headers), lambda text: _redacted(text, erasure)
    )
    if rewritten:
        done.cleaned[session.workspace.show(session.workspace.ledger_file)] = rewritten


def _redacted(text: str, erasure: Erasure) -> str:
    """A text of the ledger without the client: JSON loses the values, anything else is gone as a whole."""
    cleaned = clean_json(text.encode(), erasure)
    if cleaned is None or erasure.mention.in_bytes(cleaned[0]):
        return REDACTED
    return cleaned[0].decode()


def _clean_files(session: Session, erasure: Erasure, done: _Done) -> None:
    """Every file below the workspace but for what is seen to elsewhere, and the configuration and the scripts."""
    workspace = session.workspace
    tables = {table.folder for table in _tables(workspace)}
    left_out = {*_ledger_files(workspace), *_quarantine_files(workspace), workspace.root / CONFIG_NAME}
    left_out |= set(workspace.root.glob("*.py"))
    session.journal.close()  # a log that is cleaned becomes another file: it is opened anew
    for path in sorted(workspace.root.rglob("*")):
        if path in left_out or path.is_symlink() or not path.is_file() or not tables.isdisjoint(path.parents):
            continue
        session.progress("erasing from files", 0, None)
        with suppress(NotPermitted):  # the search at the end finds it again, and the receipt names it
            _clean_file(session, path, erasure, done)


def _scrubbed(workspace: Workspace, path: Path, erasure: Erasure) -> int | None:
    """What others wrote is theirs: only tables of clients are cleaned there, and the rest is reported."""
    own = workspace.state_folder, workspace.log_folder, workspace.output_folder, workspace.model_folder
    ours = any(path.is_relative_to(folder) for folder in own)
    return scrub_file(path, erasure.mention.client, erasure.columns, any_text=ours)


def _clean_file(session: Session, path: Path, erasure: Erasure, done: _Done) -> None:
    workspace = session.workspace
    delivered = _delivered_as(session, digest_of_delivery(path))
    if delivered:
        removed = rewrite(path, lambda new: _delivered_without(session, path, new, erasure, delivered))
    else:
        removed = _scrubbed(workspace, path, erasure)
    if removed is None and path.suffix in MADE_AGAIN and (path.parent / MODEL_FILE).is_file():
        path.unlink()
        done.deleted.append(workspace.show(path))
    elif removed:
        done.cleaned[workspace.show(path)] = removed


def _delivered_as(session: Session, digest: str) -> list[SourceFile]:
    """The deliveries of a file; if there are none, those of an erasure that broke off before it cleaned the file."""
    files = session.ledger.every_delivery()
    same = [file for file in files if file.digest == digest]
    return same or [file for file in files if digest in file.former]


def _delivered_without(
    session: Session, path: Path, new: Path, erasure: Erasure, delivered: Collection[SourceFile]
) -> int | None:
    """Make the new file, and note its digest before it takes the old one's place: it is no new delivery."""
    new.unlink()
    try:
        os.link(path, new)  # cleaning gives the name to another file: nothing needs to be copied
    except OSError:
        shutil.copyfile(path, new)
    removed = scrub_file(new, erasure.mention.client, erasure.columns, any_text=False)
    if removed:
        now, size, before = digest_of_delivery(new), new.stat().st_size, digest_of_delivery(path)
        for file in delivered:
            former = tuple(dict.fromkeys((*file.former, before)))
            session.ledger.redigest(replace(file, digest=now, size=size, former=former))
    return removed
