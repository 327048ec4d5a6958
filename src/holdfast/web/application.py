"""The API: the brief's four endpoints and the server's own health. Nothing that it reaches trains or writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask, Request, Response, request

from holdfast.errors import HoldfastError
from holdfast.records import to_json
from holdfast.serving import Limit, deployed, predict_with
from holdfast.sources.readers import Readers
from holdfast.steps.diagnostics import current_diagnosis, summarise
from holdfast.steps.scoring import score_deployed
from holdfast.store.releases import current_id
from holdfast.web.problems import answer_errors_as_problems, problem
from holdfast.web.requests import LARGEST_BODY, fields_in, location_in
from holdfast.workspace import Workspace

Answer = dict[str, Any]

DIAGNOSED = ("created", "release", "dataset_rows", "timings", "missing", "packages", "notices")
LARGEST_ANSWER = Limit(bytes=200_000_000, rows=1_000_000, seconds=120)
READ_AT_ONCE = 2
"""Files; further requests wait until one of them has been read."""

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
"""The Host headers that are answered. Any other name that leads here was made to by somebody else's DNS."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer, errors too."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the endpoints answer from: a workspace, and processes that read its files."""

    workspace: Workspace
    readers: Readers


def create_app(workspace: Workspace) -> Flask:
    """The WSGI application over one workspace: `/prediction`, `/scoring`, `/summarystats`, `/diagnostics`, `/healthz`.

    The first four answer GET and POST, `/healthz` GET. Every answer is JSON; an error is problem+json (RFC 9457).
    Only requests whose Host is this machine's loopback are answered. The application keeps no state but for its reading
    processes, started when needed: each request reads the release in production and stays in it until it is answered.
    """
    app = Flask("holdfast.web", static_folder=None, template_folder=None)
    app.debug = False  # whatever FLASK_DEBUG says
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY + 1
    app.before_request(_refuse_other_hosts)
    app.after_request(_with_headers)
    answer_errors_as_problems(app, workspace)
    served = Served(workspace, Readers(READ_AT_ONCE))
    for name, endpoint in ENDPOINTS.items():
        view = partial(_respond, endpoint, served)
        app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])
    app.add_url_rule("/healthz", "healthz", partial(_respond, healthz, served), methods=["GET"])
    return app


def prediction(served: Served, request: Request) -> Answer:
    """Client, probability and prediction of every row at a location, by the model in production.

    The location is one of `filename`, `filepath`, `data_path`, `dataset_path`, in the query or in a JSON object in the
    body; without one the test data is answered. Answers `release`, `location`, `rows`, `quarantined`, `predictions`
    (each `client`, `probability`, `prediction`) and `rejected` (each `file`, `line`, `column`, `rule`, `text`).
    """
    answer: Answer = to_json(predict_with(served.readers, served.workspace, location_in(request), LARGEST_ANSWER))
    return answer


def scoring(served: Served, request: Request) -> Answer:
    """How the model in production does on the test data, measured now.

    Answers `f1` (a number, null when undefined), `scorecard` (every metric with its interval) and `release`.
    """
    fields_in(request, ())
    current = deployed(served.workspace)
    card = score_deployed(served.workspace, current, served.readers)
    return {"f1": card.f1.value, "release": current.release.id, "scorecard": to_json(card)}


def summarystats(served: Served, request: Request) -> Answer:
    """The dataset's statistics; no model takes part.

    Answers `rows` and `columns`, each with `column`, `rows`, `missing`, `missing_percent`, `refused_missing`,
    `distinct`, `top` (the most frequent values), and for numeric columns `mean`, `median`, `standard_deviation`,
    `minimum`, `maximum`, `quantiles` and `histogram`; for dates `earliest`, `latest`, `periods` (else null or empty).
    """
    fields_in(request, ())
    columns = summarise(served.workspace)
    return {"rows": columns[0].rows if columns else 0, "columns": to_json(columns)}


def diagnostics(served: Served, request: Request) -> Answer:
    """Timings, missing data and outdated packages, from what is recorded: nothing is run, no package index is asked.

    Answers `created`, `release` (null before the first), `dataset_rows`, `timings`, `missing` (percent by column),
    `packages` and `notices`.
    """
    fields_in(request, ())
    diagnosis = current_diagnosis(served.workspace)
    answer = to_json(diagnosis)
    answer["missing"] = {each.column: each.missing_percent for each in diagnosis.columns}
    return {name: answer[name] for name in DIAGNOSED}


def healthz(served: Served, _request: Request) -> Answer:
    """`status` "ok" while the process lives, and the `release` in production (null before the first)."""
    return {"status": "ok", "release": current_id(served.workspace.deployment_folder)}


ENDPOINTS: dict[str, Callable[[Served, Request], Answer]] = {
    "prediction": prediction,
    "scoring": scoring,
    "summarystats": summarystats,
    "diagnostics": diagnostics,
}
"""The brief's four endpoints; their docstrings are the reference."""


def _respond(endpoint: Callable[[Served, Request], Answer], served: Served) -> Response:
    answer = endpoint(served, request)
    return Response(json.dumps(answer, allow_nan=False) + "\n", mimetype="application/json")


def _refuse_other_hosts() -> Response | None:
    host = request.headers.get("Host", "")
    if LOOPBACK.fullmatch(host):
        return None
    hint = "ask for localhost or 127.0.0.1"
    return problem(421, HoldfastError("this host is not served here", value=host, hint=hint), code="host")


def _with_headers(response: Response) -> Response:
    if request.method == "OPTIONS" and response.status_code == 200:
        response.status_code = 204
        del response.headers["Content-Type"]
    response.headers.update(HEADERS)
    return response
