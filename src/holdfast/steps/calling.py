"""The API's four answers, combined into apireturns.txt."""

from __future__ import annotations

import json

from holdfast.progress import Progress, silent
from holdfast.records import CallRecord
from holdfast.session import Session, begin
from holdfast.sources.api import ENDPOINTS, get_json, wait_for
from holdfast.store.files import write_file
from holdfast.workspace import Workspace

API_RETURNS = "apireturns.txt"
SECONDS_TO_START = 5.0


def call(where: Workspace | Session, progress: Progress = silent, *, address: str | None = None) -> CallRecord:
    """Call /prediction, /scoring, /summarystats and /diagnostics, and write the answers to apireturns.txt as JSON.

    An API that was just started has five seconds to answer; inside the full process it has to be there already.
    Raises SourceUnreachable when no API answers; the old file is then kept.
    """
    with begin(where, "call", progress) as session:
        workspace = session.workspace
        address = address or f"http://127.0.0.1:{workspace.port}"
        if isinstance(where, Workspace):
            wait_for(address, SECONDS_TO_START)
        answers = {}
        for endpoint in ENDPOINTS:
            session.progress(f"calling /{endpoint}", 0, None)
            answers[endpoint] = get_json(address, endpoint)
        file = workspace.model_folder / API_RETURNS
        write_file(file, (json.dumps(answers, indent=1) + "\n").encode())
        return CallRecord(address=address, answers=answers, file=workspace.show(file), seconds=session.seconds)
