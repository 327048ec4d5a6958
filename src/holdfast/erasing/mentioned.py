"""What mentions a client who is erased in advance, for somebody to look at: it may mean somebody else, or nobody."""

from __future__ import annotations

from holdfast.erasing.advance import InAdvance, PlacesInAdvance
from holdfast.erasing.remnants import places_mentioning
from holdfast.records import Remnant
from holdfast.store.scrubbing import Trace


def mentioned_in_advance(work: InAdvance) -> tuple[tuple[Remnant, ...], tuple[Remnant, ...]]:
    """What is left to do, and what mentions the id.

    Left are files that could not be searched, and tables of clients that could not be cleaned. The configuration,
    scripts, models, releases and receipts are no place for clients, and are not told of.
    """
    own = [place for place in work.places if place.source is None]
    traces = [trace for place in own for trace in places_mentioning(work, place)]
    left = tuple(_left(work, trace) for trace in traces if _is_left(work, trace))
    others = (trace for trace in traces if not _is_left(work, trace) and _may_mean_a_client(work, trace))
    return left, tuple(_mentioned(work, trace) for trace in others)


def _is_left(work: InAdvance, trace: Trace) -> bool:
    return trace.by == "unreadable" or trace.path in work.refused


def _may_mean_a_client(work: InAdvance, trace: Trace) -> bool:
    if trace.path.is_relative_to(work.workspace.receipts_folder):
        return False
    return _is_ours(work, trace) or work.places.whose(trace.path) != "kept"


def _is_ours(work: InAdvance, trace: Trace) -> bool:
    return isinstance(work.places, PlacesInAdvance) and work.places.made_by_holdfast(trace.path)


def _left(work: InAdvance, trace: Trace) -> Remnant:
    then: str | None = trace.then
    reason = f"it could not be read: {trace.why}"
    if trace.by != "unreadable":
        refused = work.refused[trace.path]
        reason, then = f"it could not be changed: {refused.message}", refused.hint
    return Remnant(place=work.show(trace.path), reason=reason, next=then or "look at it yourself")


def _mentioned(work: InAdvance, trace: Trace) -> Remnant:
    reason = "its name mentions the id" if trace.by == "name" else "the id occurs in it, perhaps as a word or a number"
    if _is_ours(work, trace):
        then = "if it means the client, erase again without --in-advance"
    else:
        then = "if it means the client, take the client out of it, or delete it"
    return Remnant(place=work.show(trace.path), reason=reason, next=then)
