"""Files of others are searched and cleaned apart: in a reading process that has limits, and whose end is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import CannotWrite, FileRefused, HoldfastError, InputOutputError, NotPermitted
from holdfast.sources.readers import Question
from holdfast.store.copies import sweep
from holdfast.store.scrubbing import clean, holds
from holdfast.store.scrubbing.kinds import Opaque, opened

if TYPE_CHECKING:
    from holdfast.erasing.work import Work

TASKS = "holdfast.erasing.tasks"
"""Where the functions are that a reading process calls. It is named here and imported nowhere."""

WHAT_TO_DO = (
    "look at it yourself, and delete it if it is not needed; or raise the limits in config.json and erase again"
)


def holds_client(work: Work, path: Path) -> bool:
    """Whether a file holds the client: Holdfast's own is searched here, any other apart.

    Raises InputOutputError or NotPermitted for a file that cannot be looked through, or not within the limits.
    """
    if work.places.is_ours(path):
        return holds(path, work.erasure)
    return holds_apart(work, path)


def holds_apart(work: Work, path: Path) -> bool:
    """As `holds_client`, for what a stranger's file became, wherever that lies."""
    return bool(ask(work, path, "mentioned", erasure=work.told_erasure))


def clean_into(work: Work, path: Path, into: Path, *, own: bool) -> int | None:
    """Clean a file into another one, which is not made where nothing is to be removed; see `clean`.

    Raises what `holds_client` does, and CannotWrite.
    """
    if work.places.is_ours(path):
        return clean(path, replace(work.erasure, own=own, into=into))
    removed: int | None = ask(work, path, "cleaned", erasure={**work.told_erasure, "own": own, "into": str(into)})
    return removed


def ask(work: Work, path: Path, function: str, **given: Any) -> Any:
    """What the function of `tasks.py` returns for a file, asked in a reading process; None for a link or a folder.

    Raises InputOutputError, NotPermitted or CannotWrite as the function does, and Opaque where it did not come to an
    end within the limits, or failed over the file.
    """
    with opened(path) as stream:
        if stream is None:
            return None
        wanted = {"wanted": "call", "function": f"{TASKS}.{function}", "given": {"path": str(path), **given}}
        question = Question(stream=stream, name=work.show(path), limits=work.workspace.limits, wanted=wanted)
        try:
            with work.readers.lend() as child:
                return next(child.ask(question)).words["done"]["result"]
        except HoldfastError as error:
            sweep(work.copies)
            if isinstance(error, InputOutputError | NotPermitted | CannotWrite) and not isinstance(error, FileRefused):
                raise
            why = error.message.strip().splitlines()[-1]  # of a failure in there, what it was in the end
            raise Opaque(f"not within the limits: {why}", file=str(path), hint=WHAT_TO_DO) from error
