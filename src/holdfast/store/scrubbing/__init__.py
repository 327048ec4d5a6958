"""Removing one client from every kind of file that a workspace holds, and finding out whether any trace is left."""

from holdfast.store.scrubbing.cleaning import scrub_file
from holdfast.store.scrubbing.searching import mentions, traces

__all__ = ["mentions", "scrub_file", "traces"]
