"""The structured log: one JSON object per line in logs/holdfast.jsonl, rotated at 5 MB, four old files kept."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

FILE_NAME = "holdfast.jsonl"
LARGEST_FILE = 5_000_000
OLD_FILES = 4


class Journal:
    """Appends events. A full or missing log disk never stops the work: it costs one line on standard error."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._handler: RotatingFileHandler | None = None
        self._given_up = False

    def write(self, event: str, time: str, **fields: Any) -> None:
        """Append one event; control characters in values are escaped, so one event is one line."""
        line = json.dumps({"time": time, "event": event, **fields}, default=str)
        if self._given_up:
            return
        try:
            self._opened().emit(logging.makeLogRecord({"msg": line}))
        except OSError as error:
            sys.stderr.write(f"holdfast: cannot write the log, going on without it: {error}\n")
            self._given_up = True
            self.close()

    def close(self) -> None:
        """Release the file."""
        if self._handler is not None:
            with suppress(OSError):  # a line that a full disk refused is still in the buffer
                self._handler.close()
            self._handler = None

    def _opened(self) -> RotatingFileHandler:
        if self._handler is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _FailingHandler(self._file, maxBytes=LARGEST_FILE, backupCount=OLD_FILES, encoding="utf-8")
        return self._handler


class _FailingHandler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's own name
        error = sys.exc_info()[1]
        if error is not None:
            raise error
