"""The work of keeping somebody out of whom no row is known."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from holdfast.erasing.places import Places, Whose
from holdfast.erasing.work import Work


class InAdvance(Work):
    """Keeping a client out of whom the datasets have no row.

    Who was never delivered is in no model, report or list of Holdfast's, and an id that is also a word occurs in them
    all the same. So of what Holdfast keeps, rows alone are cleaned: refused ones, repaired ones, and excerpts of
    refused files. Of others' files tables of clients are, as always. Everything else that mentions the id is told.
    """

    @cached_property
    def places(self) -> Places:
        """The folders of the workspace. What Holdfast made counts as what is never changed."""
        return PlacesInAdvance(self.workspace, self._is_record)


class PlacesInAdvance(Places):
    """The places of a workspace in which Holdfast's own files are not to be changed."""

    def whose(self, path: Path) -> Whose:
        """Whose a file is; "kept" for what Holdfast made."""
        whose = super().whose(path)
        return "kept" if whose == "ours" else whose

    def made_by_holdfast(self, path: Path) -> bool:
        """True for a file that is Holdfast's own."""
        return super().whose(path) == "ours"
