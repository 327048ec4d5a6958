"""Requests that nobody thought of: whatever comes in, the answer is JSON and never a failure of the server."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from holdfast.web import application
from holdfast.web.requests import LOCATION_FIELDS

PATHS = ["/prediction", "/scoring", "/summarystats", "/diagnostics", "/healthz"]
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"]
TYPES = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=\x7f",
    "",
    "text/csv",
    "a/b;c",
]

locations = st.sampled_from(["testdata.csv", "testdata", "finaldata.csv", "..", "/", "\0"]) | st.text(max_size=40)
names = st.sampled_from(LOCATION_FIELDS) | st.text(max_size=20)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | locations,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
latin = st.text(st.characters(max_codepoint=255), max_size=80)
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(answer: TestResponse) -> None:
    assert answer.status_code < 500
    assert {name: answer.headers[name] for name in application.HEADERS} == application.HEADERS
    if answer.data:
        assert answer.mimetype == ("application/json" if answer.status_code < 300 else "application/problem+json")
        json.loads(answer.data, parse_constant=refuse)


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


@fuzz
@given(path=st.sampled_from(PATHS), fields=st.lists(st.tuples(names, locations), max_size=4))
def test_any_fields_in_the_query_are_answered(client: FlaskClient, path: str, fields: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in fields)
    check(client.get(path, environ_overrides={"QUERY_STRING": query.encode().decode("latin-1")}))


@fuzz
@given(path=st.sampled_from(PATHS), query=latin)
def test_any_bytes_in_the_query_are_answered(client: FlaskClient, path: str, query: str) -> None:
    check(client.get(path, environ_overrides={"QUERY_STRING": query}))


@fuzz
@given(path=st.sampled_from(PATHS), tree=trees)
def test_any_json_in_the_body_is_answered(client: FlaskClient, path: str, tree: object) -> None:
    check(client.post(path, data=json.dumps(tree).encode(), content_type="application/json"))


@fuzz
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=200), kind=st.sampled_from(TYPES) | latin)
@example(path="/prediction", body=b"{}", kind='application/json; charset="')
def test_any_bytes_in_the_body_are_answered(client: FlaskClient, path: str, body: bytes, kind: str) -> None:
    check(client.post(path, data=body, environ_overrides={"CONTENT_TYPE": kind}))


@fuzz
@given(location=st.text(st.characters(), max_size=60))
def test_any_location_is_answered(client: FlaskClient, location: str) -> None:
    body = json.dumps({"filename": location}).encode()
    check(client.post("/prediction", data=body, content_type="application/json"))


@fuzz
@given(method=st.sampled_from(METHODS), path=latin, host=latin)
def test_any_path_method_and_host_are_answered(client: FlaskClient, method: str, path: str, host: str) -> None:
    check(client.open(method=method, environ_overrides={"PATH_INFO": f"/{path}", "HTTP_HOST": "localhost"}))
    check(client.open(method=method, environ_overrides={"PATH_INFO": "/healthz", "HTTP_HOST": host}))


@fuzz
@given(
    length=st.sampled_from(["", "0", "-1", "1", "999999999999", "x", "1, 2", "1e3", "\xb2"]),
    transfer=st.sampled_from(["", "chunked", "gzip", "identity", "chunked, chunked"]),
    body=st.binary(max_size=20),
)
def test_any_length_is_answered(client: FlaskClient, length: str, transfer: str, body: bytes) -> None:
    overrides = {"CONTENT_LENGTH": length, "HTTP_TRANSFER_ENCODING": transfer, "wsgi.input_terminated": True}
    check(client.post("/prediction", data=body, content_type="application/json", environ_overrides=overrides))
