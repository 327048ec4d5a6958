"""Removing one client from every kind of file that a workspace holds, and finding out whether any trace is left."""

from holdfast.store.scrubbing.cleaning import clean, scrub_file
from holdfast.store.scrubbing.searching import Trace, everything_below, holds, mentions, traces

__all__ = ["Trace", "clean", "everything_below", "holds", "mentions", "scrub_file", "traces"]
