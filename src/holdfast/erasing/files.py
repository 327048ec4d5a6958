"""One client taken out of files: Holdfast's own, tables of clients, delivered files, copies of what Holdfast keeps."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from holdfast.dataset import INGESTED_FILES
from holdfast.erasing.places import MADE_AGAIN
from holdfast.erasing.texts import clean_held, is_quarantine, redacted
from holdfast.erasing.work import Work
from holdfast.errors import CannotWrite, InputOutputError, NotPermitted
from holdfast.records import SourceFile
from holdfast.sources.files import digest_of_delivery
from holdfast.sources.kinds import kind_of_name
from holdfast.store.ledgercopies import is_ledger, redact_copy
from holdfast.store.scrubbing import mentions, scrub_file
from holdfast.store.scrubbing.rewriting import rewrite

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
            work.refused[path] = error.message


def what_is_left(work: Work, path: Path) -> int | None:
    """How many rows, lines or values of a file are the client's; None where that cannot be told. Changes nothing.

    0 for a file that mentions the client in rows of others alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _try(work, path, Path(folder) / "copy")


def _clean_file(work: Work, path: Path) -> None:
    whose = work.places.whose(path)
    if whose in NEVER_CHANGED:
        return
    if work.places.is_leftover(path):
        if mentions(path, work.mention.client, work.columns):
            _delete(work, path)
        return
    if path == work.workspace.output_folder / INGESTED_FILES:
        _make_anew(work, path)
        return
    removed = _tried(work, path) if work.trial else _cleaned(work, path, own=whose == "ours")
    if removed is None and path.name in MADE_AGAIN and path.parent == work.workspace.model_folder:
        _delete(work, path)
    work.count(path, removed)


def _make_anew(work: Work, path: Path) -> None:
    """The list of deliveries is written again when they have other names."""
    if mentions(path, work.mention.client, work.columns):
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
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        removed = _try(work, path, copy)
        if removed and (work.mention.is_short_number or not mentions(copy, work.mention.client, work.columns)):
            work.clean.add(path)
        return removed


def _try(work: Work, path: Path, copy: Path) -> int | None:
    """Clean a copy of a file."""
    if is_ledger(path):
        shutil.copyfile(path, copy)
        return redact_copy(copy, partial(redacted, work))
    if is_quarantine(path):
        return clean_held(work, path, copy)
    own = work.places.whose(path) == "ours"
    return scrub_file(path, work.mention.client, work.columns, own=own, into=copy, headers=work.known_headers)


def _cleaned(work: Work, path: Path, *, own: bool) -> int | None:
    """Clean a file; if it was delivered, it is no new delivery with its new bytes."""
    if is_ledger(path):
        return redact_copy(path, partial(redacted, work))
    if is_quarantine(path):
        return clean_held(work, path)
    if kind_of_name(path.name):
        files = work.ledger.every_delivery()
        digest = digest_of_delivery(path)
        # Those of an erasure that broke off before it cleaned the file have the digest already that it gets now.
        same = [file for file in files if file.digest == digest] or [file for file in files if digest in file.former]
        if same:
            return rewrite(path, partial(_delivered_without, work, path, digest, same))
    return scrub_file(path, work.mention.client, work.columns, own=own, headers=work.known_headers)


def _delivered_without(work: Work, path: Path, digest: str, delivered: Collection[SourceFile], new: Path) -> int | None:
    """Make the new file, and note its digest before it takes the old one's place."""
    removed = scrub_file(path, work.mention.client, work.columns, own=False, into=new)
    if removed:
        now, size = digest_of_delivery(new), new.stat().st_size
        for file in delivered:
            former = tuple(dict.fromkeys((*file.former, digest)))
            work.ledger.redigest(replace(file, digest=now, size=size, former=former))
    return removed
