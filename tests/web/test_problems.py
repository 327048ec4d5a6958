from __future__ import annotations

import inspect
import logging

import pytest
from flask.testing import FlaskClient

from holdfast import errors
from holdfast.errors import HoldfastError
from holdfast.web import application, create_app
from holdfast.web.problems import status_of
from holdfast.workspace import Workspace

FIELDS = {"type", "title", "status", "detail", "code", "file", "row", "column", "value_excerpt", "run_id", "hint"}
KINDS = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, HoldfastError)]


def raising(error: Exception, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """The API with an endpoint that fails."""

    def endpoint(*_: object) -> application.Answer:
        raise error

    monkeypatch.setitem(application.ENDPOINTS, "scoring", endpoint)
    return create_app(workspace).test_client()


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_and_tells_its_record(
    kind: type[HoldfastError], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind("what is wrong", file="a.csv", row=3, column="exited", value="x", hint="do this")
    answer = raising(error, workspace, monkeypatch).get("/scoring")
    assert answer.status_code == status_of(kind)
    assert answer.mimetype == "application/problem+json"
    assert answer.json
    assert set(answer.json) == FIELDS
    record = error.record()
    assert answer.json["detail"] == record.pop("message")
    assert {name: answer.json[name] for name in record} == record
    assert (answer.json["status"], answer.json["type"]) == (answer.status_code, "about:blank")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_that_passes_says_when_to_come_back(
    kind: type[HoldfastError], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = raising(kind("busy"), workspace, monkeypatch).get("/scoring")
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, 400),
        (errors.LocationRefused, 400),
        (errors.NoUsableData, 409),
        (errors.TooLarge, 413),
        (errors.FileRefused, 422),
        (errors.Busy, 503),
        (errors.ModelFileDamaged, 503),
        (errors.NothingDeployed, 503),
        (errors.ConfigurationError, 500),
        (errors.InputOutputError, 500),
        (errors.NotPermitted, 500),
    ],
)
def test_a_client_can_tell_its_own_mistake_from_the_servers_state(kind: type[HoldfastError], status: int) -> None:
    assert status_of(kind) == status


def test_an_unexpected_error_tells_the_client_nothing_but_an_id(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = raising(RuntimeError("the secret of /srv/vault"), workspace, monkeypatch).get("/scoring")
    assert answer.status_code == 500
    assert answer.json
    assert set(answer.json) == FIELDS
    assert "secret" not in answer.text
    assert "vault" not in answer.text
    assert answer.json["run_id"] in caplog.text
    assert "the secret of /srv/vault" in caplog.text
    assert "Traceback" in caplog.text


def test_the_log_of_an_unexpected_error_escapes_what_the_client_sent(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("broken")

    app = create_app(workspace)
    app.add_url_rule("/<path:anything>", "anything", broken)
    with caplog.at_level(logging.ERROR):
        app.test_client().get("/%0AERROR%20forged%1b[31m")
    assert "\x1b" not in caplog.text
    assert "\nERROR forged" not in caplog.text


def test_an_error_of_the_system_is_told_as_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(5, "Input/output error", str(workspace.test_folder / "testdata.csv"))
    answer = raising(error, workspace, monkeypatch).get("/scoring")
    assert answer.status_code == 500
    assert answer.json
    assert (answer.json["code"], answer.json["file"]) == ("input-output", "testdata/testdata.csv")


@pytest.mark.parametrize("field", ["message", "file", "value", "hint"])
def test_a_problem_does_not_tell_where_the_workspace_lies(
    field: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = errors.ConfigurationError("wrong")
    setattr(error, field, f"look at {workspace.root}/config.json in {workspace.root}")
    answer = raising(error, workspace, monkeypatch).get("/scoring")
    assert str(workspace.root) not in answer.text
    assert "look at config.json in ." in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/static/x", 404, "not-found"),
        ("POST", "/predict", 404, "not-found"),
        ("PUT", "/prediction", 405, "method-not-allowed"),
        ("DELETE", "/scoring", 405, "method-not-allowed"),
        ("PATCH", "/diagnostics", 405, "method-not-allowed"),
        ("TRACE", "/summarystats", 405, "method-not-allowed"),
        ("POST", "/healthz", 405, "method-not-allowed"),
        ("BREW", "/prediction", 405, "method-not-allowed"),
    ],
)
def test_what_http_refuses_is_a_problem_too(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert answer.json
    assert set(answer.json) == FIELDS
    assert answer.json["code"] == code


def test_a_method_that_is_not_allowed_is_answered_with_those_that_are(client: FlaskClient) -> None:
    answer = client.delete("/prediction")
    assert {"GET", "POST"} <= {method.strip() for method in answer.headers["Allow"].split(",")}


def test_a_misspelt_path_is_answered_with_the_nearest_one(client: FlaskClient) -> None:
    answer = client.get("/predictions")
    assert answer.json
    assert answer.json["hint"] == "did you mean '/prediction'?"
