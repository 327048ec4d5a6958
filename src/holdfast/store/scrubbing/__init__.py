"""Removing one client from every kind of file that a workspace holds, and finding out whether any trace is left."""

from holdfast.store.scrubbing.cleaning import scrub_file
from holdfast.store.scrubbing.searching import Trace, everything_below, mentions, traces

__all__ = ["Trace", "everything_below", "mentions", "scrub_file", "traces"]
