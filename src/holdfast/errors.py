"""Every error that Holdfast raises on purpose, with the exit status that scripts and cron see.

HoldfastError                     70  a bug in Holdfast, when nothing more exact applies
├── UsageError                    64  the command line cannot be understood
├── NoUsableData                   4  nothing to work on; the old model is kept
├── CandidateRefused               5  a new model is not fit to serve; the old model is kept
├── SourceUnreachable             69  a service that the command needs does not answer
├── CannotWrite                   73  a file or folder cannot be created or written (disk full, read-only)
├── InputOutputError              74  reading failed, a file is damaged, or a port is taken
│   ├── ModelFileDamaged          74  a model file is not what training wrote
│   └── FileRefused               74  one delivered file cannot be taken (other files go on)
│       └── TooLarge              74  more bytes or rows than one answer of the API holds
├── Busy                          75  another run holds the lock
├── NotPermitted                  77  access to a file or folder is denied
└── ConfigurationError            78  config.json, or a path or name that the user gave
    ├── NothingDeployed           78  the command needs a model in production
    └── LocationRefused           78  a file location outside the workspace's data folders

Exit statuses that are not errors: 0 done or nothing new, 3 done with some rows or files quarantined.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import Any, ClassVar

DONE = 0
DONE_WITH_QUARANTINE = 3
INTERRUPTED = 130

EXCERPT_LENGTH = 40


def printable(text: str) -> str:
    r"""Text with control characters escaped.

    >>> printable("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def excerpt(text: str) -> str:
    r"""A value as it may be shown: control characters escaped, at most 40 characters.

    >>> excerpt("12\x1b[31m")
    '12\\x1b[31m'
    >>> len(excerpt("x" * 1000))
    40
    """
    shown = printable(text)
    return shown if len(shown) <= EXCERPT_LENGTH else shown[: EXCERPT_LENGTH - 1] + "…"


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, ignoring case and spaces, or None when nothing is close.

    >>> nearest("Lastmonth activity", ["lastmonth_activity", "lastyear_activity"])
    'lastmonth_activity'
    """

    def plain(name: str) -> str:
        return name.strip().casefold().replace(" ", "_").replace("-", "_")

    by_plain_name = {plain(choice): choice for choice in choices}
    close = difflib.get_close_matches(plain(word), by_plain_name, n=1, cutoff=0.6)
    return by_plain_name[close[0]] if close else None


class HoldfastError(Exception):
    """The root: a message, where it happened (file, row, column), what was found, and what to do next."""

    code: ClassVar[str] = "bug"
    exit_status: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        value: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.row = row
        self.column = column
        self.value = None if value is None else excerpt(value)
        self.hint = hint
        self.run_id: str | None = None

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (
                self.file and printable(self.file),
                None if self.row is None else f"line {self.row}",
                None if self.column is None else f"column {printable(self.column)}",
            )
            if part
        )
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}\nHint: {self.hint}" if self.hint else text

    def record(self, run_id: str | None = None) -> dict[str, Any]:
        """The error's one JSON form, the same on the command line, in the log and over HTTP."""
        return {
            "code": self.code,
            "message": self.message,
            "file": self.file,
            "row": self.row,
            "column": self.column,
            "value_excerpt": self.value,
            "run_id": run_id or self.run_id,
            "hint": self.hint,
        }


class UsageError(HoldfastError):
    """The command line cannot be understood."""

    code = "usage"
    exit_status = 64


class NoUsableData(HoldfastError):
    """There is nothing to work on: no rows, or labels of one class only. The old model is kept."""

    code = "no-usable-data"
    exit_status = 4


class CandidateRefused(HoldfastError):
    """A newly trained model is not fit to serve. The old model is kept."""

    code = "candidate-refused"
    exit_status = 5


class SourceUnreachable(HoldfastError):
    """A service that the command needs does not answer."""

    code = "source-unreachable"
    exit_status = 69


class CannotWrite(HoldfastError):
    """A file or folder cannot be created or written."""

    code = "cannot-write"
    exit_status = 73


class InputOutputError(HoldfastError):
    """Reading failed, a file is damaged, or a port is taken."""

    code = "input-output"
    exit_status = 74


class ModelFileDamaged(InputOutputError):
    """A model file is not what training wrote."""

    code = "model-file-damaged"


class FileRefused(InputOutputError):
    """One delivered file cannot be taken; the other files go on."""

    code = "file-refused"


class TooLarge(FileRefused):
    """A location holds more bytes or rows than one answer of the API does."""

    code = "too-large"


class Busy(HoldfastError):
    """Another run holds the workspace's lock."""

    code = "busy"
    exit_status = 75


class NotPermitted(HoldfastError):
    """Access to a file or folder is denied."""

    code = "not-permitted"
    exit_status = 77


class ConfigurationError(HoldfastError):
    """config.json, or a path or name that the user gave, cannot be used."""

    code = "configuration"
    exit_status = 78


class NothingDeployed(ConfigurationError):
    """The command needs a model in production and there is none yet."""

    code = "nothing-deployed"


class LocationRefused(ConfigurationError):
    """A file location that is not inside the workspace's data folders."""

    code = "location-refused"


def exit_status_of_code(code: str) -> int:
    """The exit status of the errors with this code.

    >>> exit_status_of_code("source-unreachable")
    69
    """
    kinds = [HoldfastError]
    for kind in kinds:
        if kind.code == code:
            return kind.exit_status
        kinds += kind.__subclasses__()
    return HoldfastError.exit_status


def from_os_error(error: OSError, doing: str, file: str) -> HoldfastError:
    """The Holdfast error for an operating system error met while `doing` something to `file`.

    >>> import errno
    >>> from_os_error(OSError(errno.ENOSPC, "No space left on device"), "write", "finaldata.csv").exit_status
    73
    """
    reason = error.strerror or type(error).__name__
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NotPermitted(f"cannot {doing}: {reason}", file=file, hint="check the owner and mode of this path")
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return CannotWrite(f"cannot {doing}: {reason}", file=file, hint="free some disk space, then run again")
    if error.errno in {errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR} and doing != "read":
        return CannotWrite(f"cannot {doing}: {reason}", file=file, hint="check that the folder exists and is writable")
    return InputOutputError(f"cannot {doing}: {reason}", file=file)
