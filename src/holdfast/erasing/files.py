"""One client taken out of files: Holdfast's own, tables of clients, delivered files, copies of what Holdfast keeps."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from holdfast.dataset import INGESTED_FILES
from holdfast.erasing.apart import ask, clean_into, holds_apart, holds_client
from holdfast.erasing.places import MADE_AGAIN, is_regular
from holdfast.erasing.texts import COLUMNS, clean_held, is_quarantine, redacted
from holdfast.erasing.work import Work
from holdfast.errors import CannotWrite, InputOutputError, NotPermitted
from holdfast.records import SourceFile
from holdfast.sources.files import digest_of_delivery
from holdfast.sources.kinds import kind_of_name
from holdfast.store.copies import folder_for_copies
from holdfast.store.ledgercopies import is_ledger, redact_copy
from holdfast.store.scrubbing.kinds import kind_of, opened
from holdfast.store.scrubbing.rewriting import take_place, until_unchanged

NEVER_CHANGED = ("kept", "source", "others")


def clean_files(work: Work) -> None:
    """Every file in the workspace's folders but for what is seen to elsewhere, and what is never changed.

    A file that cannot be read or written is left to the search at the end, which names it.
    """
    tables = {table.folder for table in work.tables()}
    seen_to = {*work.places.ledger, *work.places.quarantine}
    for path in list(work.places.files()):
        if path in seen_to or not tables.isdisjoint(path.parents):
            continue
        work.progress("erasing from files", 0, None)
        try:
            _clean_file(work, path)
        except (CannotWrite, InputOutputError, NotPermitted) as error:
            work.refused[path] = error


def what_is_left(work: Work, path: Path) -> int | None:
    """How many rows, lines or values of a file are the client's; None where that cannot be told. Changes nothing.

    0 for a file that mentions the client in rows of others alone.
    """
    with folder_for_copies(work.copies) as folder:
        return _try(work, path, folder / "copy")


def _clean_file(work: Work, path: Path) -> None:
    whose = work.places.whose(path)
    if whose in NEVER_CHANGED:
        return
    if work.places.is_leftover(path):
        if holds_client(work, path):
            _delete(work, path)
        return
    if path == work.workspace.output_folder / INGESTED_FILES:
        _make_anew(work, path)
        return
    removed = _tried(work, path) if work.trial else until_unchanged(partial(_cleaned, work, path, own=whose == "ours"))
    if removed is None and path.name in MADE_AGAIN and path.parent == work.workspace.model_folder:
        _delete(work, path)
    work.count(path, removed)


def _make_anew(work: Work, path: Path) -> None:
    """The list of deliveries is written again when they have other names."""
    if holds_client(work, path):
        _unlink(work, path)
        work.count(path, 1)


def _delete(work: Work, path: Path) -> None:
    _unlink(work, path)
    work.deleted.append(work.show(path))


def _unlink(work: Work, path: Path) -> None:
    if work.trial:
        work.clean.add(path)
    else:
        path.unlink()


def _tried(work: Work, path: Path) -> int | None:
    """What cleaning would remove. What is left of a short number belongs to others."""
    with folder_for_copies(work.copies) as folder:
        copy = folder / "copy"
        removed = _try(work, path, copy)
        if removed and (work.mention.is_short_number or not holds_apart(work, copy)):
            work.clean.add(path)
        return removed


def _try(work: Work, path: Path, copy: Path) -> int | None:
    """Clean a copy of a file."""
    copied = _copied_record(work, path)
    if copied == "ledger":
        shutil.copyfile(path, copy)
        return redact_copy(copy, partial(redacted, work))
    if copied == "quarantine":
        return clean_held(work, path, copy)
    return clean_into(work, path, copy, own=work.places.whose(path) == "ours")


def _cleaned(work: Work, path: Path, *, own: bool) -> int | None:
    """Clean a file; if it was delivered, it is no new delivery with its new bytes.

    Raises Changed where others changed it meanwhile.
    """
    if not is_regular(path):  # it went with another one, as the log of a database does
        return 0
    seen = path.stat(follow_symlinks=False)
    copied = _copied_record(work, path)
    if copied == "ledger":
        return redact_copy(path, partial(redacted, work))
    if copied == "quarantine":
        return clean_held(work, path)
    if kind_of_name(path.name):
        files = work.ledger.every_delivery()
        digest = digest_of_delivery(path)
        # Those of an erasure that broke off before it cleaned the file have the digest already that it gets now.
        same = [file for file in files if file.digest == digest] or [file for file in files if digest in file.former]
        if same:
            return take_place(path, partial(_delivered_without, work, path, digest, same), seen)
    return take_place(path, lambda new: clean_into(work, path, new, own=own), seen)


def _copied_record(work: Work, path: Path) -> Literal["ledger", "quarantine"] | None:
    """Whether a file is a copy of the ledger or of a file of quarantine, as backups are.

    One that lies where anybody may have put it is read through apart before it is opened here.
    """
    with opened(path) as stream:
        kind = kind_of(stream.read(len(b"SQLite format 3\0"))) if stream else None
    if work.places.is_ours(path):
        return "ledger" if is_ledger(path) else "quarantine" if is_quarantine(path) else None
    if kind == "sqlite" and ask(work, path, "is_copy_of_ledger"):
        holds_client(work, path)
        return "ledger"
    if kind == "parquet" and COLUMNS.issubset(ask(work, path, "columns_of")):
        holds_client(work, path)
        return "quarantine"
    return None


def _delivered_without(work: Work, path: Path, digest: str, delivered: Collection[SourceFile], new: Path) -> int | None:
    """Make the new file, and note its digest before it takes the old one's place."""
    removed = clean_into(work, path, new, own=False)
    if removed:
        now, size = digest_of_delivery(new), new.stat().st_size
        for file in delivered:
            former = tuple(dict.fromkeys((*file.former, digest)))
            work.ledger.redigest(replace(file, digest=now, size=size, former=former))
    return removed
