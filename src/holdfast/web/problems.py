"""Errors over HTTP: one table from error to status, and one form, RFC 9457 problem+json with the error's own fields."""

from __future__ import annotations

import json
import re
import secrets
from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from holdfast.errors import (
    Busy,
    FileRefused,
    HoldfastError,
    LocationRefused,
    ModelFileDamaged,
    NothingDeployed,
    NoUsableData,
    TooLarge,
    UsageError,
    excerpt,
    from_os_error,
    nearest,
)
from holdfast.workspace import Workspace

STATUS: dict[type[HoldfastError], int] = {
    UsageError: 400,
    LocationRefused: 400,
    NoUsableData: 409,
    TooLarge: 413,
    FileRefused: 422,
    Busy: 503,
    ModelFileDamaged: 503,
    NothingDeployed: 503,
    HoldfastError: 500,
}
"""The HTTP status of each error; one that is not listed has that of the nearest class above it."""

RETRY_AFTER_SECONDS = "60"


def status_of(kind: type[HoldfastError]) -> int:
    """The HTTP status of an error.

    >>> status_of(NothingDeployed), status_of(TooLarge)
    (503, 413)
    """
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def problem(status: int, error: HoldfastError, *, run_id: str | None = None, code: str | None = None) -> Response:
    """The answer that tells an error: type, title, status, detail, and the fields of the error's record.

    `run_id` is set for an unexpected error: the log has its traceback under this id.
    """
    record = error.record(run_id)
    answer = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": record.pop("message"),
        **record,
    }
    if code:
        answer["code"] = code
    response = Response(json.dumps(answer, allow_nan=False) + "\n", status, mimetype="application/problem+json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def answer_errors_as_problems(app: Flask, workspace: Workspace) -> None:
    """Let `app` answer every error, its own, Flask's or an unexpected one, as a problem."""

    def known(error: HoldfastError) -> Response:
        return problem(status_of(type(error)), _without_root(error, workspace))

    def of_the_system(error: OSError) -> Response:
        return known(from_os_error(error, "read", str(error.filename or "a file")))

    def of_the_protocol(error: HTTPException) -> Response:
        return _protocol_problem(app, error)

    def unexpected(error: Exception) -> Response:
        run_id = secrets.token_hex(8)
        app.logger.error("request %s: %s %s", run_id, request.method, excerpt(request.path), exc_info=error)
        told = HoldfastError("an unexpected error", hint=f"the server's log tells more, under the id {run_id}")
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, told, run_id=run_id)

    app.register_error_handler(HoldfastError, known)
    app.register_error_handler(OSError, of_the_system)
    app.register_error_handler(HTTPException, of_the_protocol)
    app.register_error_handler(Exception, unexpected)


def _protocol_problem(app: Flask, error: HTTPException) -> Response:
    """What the HTTP layer refused, or redirects, with its own headers (Allow, Location)."""
    original = error.get_response()
    status = original.status_code
    message = error.description or HTTPStatus(status).phrase
    told = HoldfastError(message, value=request.path, hint=_hint(app, status))
    response = problem(status, told, code=error.name.lower().replace(" ", "-"))
    for name in ("Allow", "Location"):
        if name in original.headers:
            response.headers[name] = original.headers[name]
    return response


def _hint(app: Flask, status: int) -> str | None:
    if status != HTTPStatus.NOT_FOUND:
        return None
    paths = sorted(rule.rule for rule in app.url_map.iter_rules())
    close = nearest(request.path, paths)
    return f"did you mean '{close}'?" if close else f"there are {', '.join(paths)}"


def _without_root(error: HoldfastError, workspace: Workspace) -> HoldfastError:
    """The same error with paths relative to the workspace: a client need not know where it lies."""
    itself = re.compile(rf"{re.escape(str(workspace.root))}(?![\w-])")

    def shown(text: str | None) -> str | None:
        return text and itself.sub(".", text.replace(f"{workspace.root}/", ""))

    error.message = shown(error.message) or error.message
    error.file, error.value, error.hint = shown(error.file), shown(error.value), shown(error.hint)
    return error
