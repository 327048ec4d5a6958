"""What is left of a client after an erasure: where, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from holdfast.erasing.apart import holds_client
from holdfast.erasing.files import what_is_left
from holdfast.erasing.places import Place, Whose, is_regular
from holdfast.erasing.work import Work
from holdfast.errors import HoldfastError, InputOutputError, NotPermitted
from holdfast.records import Remnant
from holdfast.store.deltatable import LOG
from holdfast.store.scrubbing import Trace, everything_below, traces
from holdfast.workspace import CONFIG_NAME

READ_ONLY = "which Holdfast only reads"


def searched(work: Work) -> tuple[tuple[str, ...], int]:
    """The folders that are searched, and how many files are in them."""
    folders = tuple(work.nameless(place.folder) for place in work.places)
    return folders, sum(is_regular(path) for place in work.places for path in _below(place))


def remaining(work: Work) -> tuple[Remnant, ...]:
    """Every place of the workspace's own that still mentions the client or cannot be looked through."""
    own = (place for place in work.places if place.source is None)
    return tuple(_remnant(work, trace) for place in own for trace in places_mentioning(work, place))


def elsewhere(work: Work) -> tuple[Remnant, ...]:
    """What mentions the client in folders that Holdfast only reads, and the databases, which are not searched."""
    databases = (
        Remnant(
            place=f"the database of source '{source.name}'",
            reason=f"belongs to source '{source.name}', {READ_ONLY}; it was not searched",
            next="delete the client there",
        )
        for source in work.workspace.databases
    )
    return (*databases, *(each for place in work.places if place.source for each in _of_source(work, place)))


def places_mentioning(work: Work, place: Place) -> Iterator[Trace]:
    """What mentions the client in a folder, but for what looks like the client and is not.

    An id that is a short number is found wherever that number stands for something else. What is left of it in the
    ledger and in quarantine belongs to others, and so it does in a file in which no row is the client's.
    """
    work.progress("searching", 0, None)
    for trace in traces(place.folder, work.mention.client, place.skip, partial(holds_client, work)):
        if trace.by == "name" or not (trace.path in work.clean or _is_something_else(work, trace)):
            yield trace


def _is_something_else(work: Work, trace: Trace) -> bool:
    if trace.by != "content" or not work.mention.is_short_number:
        return False
    return trace.path in {*work.places.ledger, *work.places.quarantine} or _left(work, trace.path) == 0


def _left(work: Work, path: Path) -> int | None:
    try:
        return what_is_left(work, path)
    except HoldfastError:
        return None


def _below(place: Place) -> Iterator[Path]:
    try:
        yield from everything_below(place.folder, place.skip)
    except (InputOutputError, NotPermitted):  # a folder of others, which is told of
        return


def _of_source(work: Work, place: Place) -> Iterator[Remnant]:
    belongs = f"belongs to {place.source}, {READ_ONLY}"
    try:
        for trace in places_mentioning(work, place):
            reason = f"{belongs}; it could not be looked through: {trace.why}" if trace.why else belongs
            yield Remnant(place=work.nameless(trace.path), reason=reason, next="delete the client there")
    except (InputOutputError, NotPermitted) as error:
        reason = f"{belongs}; it could not be looked into: {error.message}"
        yield Remnant(place=work.nameless(place.folder), reason=reason, next="look at it yourself")


def _remnant(work: Work, trace: Trace) -> Remnant:
    reason, then = _reason(work, trace)
    return Remnant(place=work.show(trace.path), reason=reason, next=then)


def _reason(work: Work, trace: Trace) -> tuple[str, str]:
    """Why a place still mentions the client, and what to do."""
    path = trace.path
    if trace.by == "unreadable":
        return f"it could not be read: {trace.why}", trace.then or "look at it yourself; delete it if it is not needed"
    if trace.by == "name":
        return "its name, or where it links to, mentions the client", "rename it or delete it, and erase again"
    if path in work.refused:
        refused = work.refused[path]
        return f"it could not be changed: {refused.message}", refused.hint or "see to that"
    whose = work.places.whose(path)
    if whose == "source":
        return f"belongs to source '{work.places.databases[path]}', {READ_ONLY}", "delete the client there"
    if whose == "kept":
        return _why_kept(path)
    if path.parent.name == LOG:
        return "it is the log of a table, which is never rewritten", "delete the table that it belongs to"
    if path in {*work.places.ledger, *work.places.quarantine} or (whose != "others" and _left(work, path) is not None):
        return (
            "a row of another client mentions this one",
            "correct that row where it comes from and deliver it again, or erase that client too",
        )
    return _why_not_cleaned(work, whose)


def _why_not_cleaned(work: Work, whose: Whose) -> tuple[str, str]:
    doubt = "; the number in it may mean something else" if work.mention.is_short_number else ""
    if whose == "ours":
        return f"this kind of file cannot be cleaned{doubt}", "delete it"
    return f"not one of Holdfast's files{doubt}", "take the client out of it, or delete it"


def _why_kept(path: Path) -> tuple[str, str]:
    if path.name == CONFIG_NAME:
        return "it is your configuration, which Holdfast never changes", "edit it"
    if path.suffix == ".py":
        return "it is a script of yours, which Holdfast never changes", "edit it"
    reason = "it belongs to a model or a release, which would be refused with one byte changed"
    return reason, "train, score and deploy, then delete it"
