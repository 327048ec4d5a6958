from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.web.requests import LARGEST_BODY, LOCATION_FIELDS, parse_object

JSON = "application/json"
PLAIN = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    PLAIN | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)

HOSTILE = {
    "nothing but space": b"   ",
    "no object": b"[]",
    "a number": b"1",
    "a text": b'"testdata.csv"',
    "null": b"null",
    "cut short": b'{"filename": "testdata.csv"',
    "two documents": b"{}{}",
    "trailing comma": b'{"filename": "testdata.csv",}',
    "single quotes": b"{'filename': 'testdata.csv'}",
    "a comment": b'{"filename": "testdata.csv"} // mine',
    "a key given twice": b'{"filename": "a.csv", "filename": "testdata.csv"}',
    "a key given twice further down": b'{"filename": {"a": 1, "a": 1}}',
    "NaN": b'{"filename": NaN}',
    "Infinity": b'{"filename": Infinity}',
    "-Infinity": b'{"filename": -Infinity}',
    "beyond a float": b'{"filename": 1e400}',
    "below a float": b'{"filename": -1e400}',
    "too many digits": b'{"filename": ' + b"9" * 5_000 + b"}",
    "nested lists": b'{"filename": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "nested and never closed": b"[" * 60_000,
    "not UTF-8": b'{"filename": "\xff\xfe"}',
    "UTF-16": '{"filename": "testdata.csv"}'.encode("utf-16"),
    "UTF-32": '{"filename": "testdata.csv"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"filename": "testdata.csv"}',
    "a raw NUL": b'{"filename": "test\x00data.csv"}',
    "a raw line end": b'{"filename": "test\ndata.csv"}',
    "an unknown escape": rb'{"filename": "\x41"}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "a form": b"filename=testdata.csv",
    "XML": b"<filename>testdata.csv</filename>",
    "an unknown field": b'{"file_path": "testdata.csv"}',
    "an unknown field beside a known one": b'{"filename": "testdata.csv", "rows": 3}',
    "a number for a text": b'{"filename": 1}',
    "null for a text": b'{"filename": null}',
    "true for a text": b'{"filename": true}',
    "a list for a text": b'{"filename": ["testdata.csv"]}',
    "an object for a text": b'{"filename": {"filename": "testdata.csv"}}',
    "a lone surrogate": rb'{"filename": "\ud800.csv"}',
    "an escaped NUL": rb'{"filename": "testdata.csv\u0000"}',
    "two locations": b'{"filename": "testdata.csv", "filepath": "finaldata.csv"}',
}


@settings(max_examples=50)
@given(data=st.dictionaries(st.text(), TREES))
def test_every_strict_json_object_is_read_as_it_was_written(data: dict[str, object]) -> None:
    assert parse_object(json.dumps(data).encode()) == data


@settings(max_examples=50)
@given(data=PLAIN | st.text() | st.lists(TREES))
def test_json_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(UsageError, match="not a JSON object"):
        parse_object(json.dumps(data).encode())


@settings(max_examples=50)
@given(name=st.text(), values=st.tuples(TREES, TREES))
def test_a_key_given_twice_is_refused(name: str, values: tuple[object, object]) -> None:
    members = ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for value in values)
    with pytest.raises(UsageError, match="twice"):
        parse_object(f"{{{members}}}".encode())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_is_a_bad_request(client: FlaskClient, method: str, body: bytes) -> None:
    answer = client.open("/prediction", method=method, data=body, content_type=JSON)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("field", LOCATION_FIELDS)
@pytest.mark.parametrize("misspell", [str.upper, "{}s".format, " {}".format, lambda name: name.replace("_", "-") + "-"])
def test_an_unknown_field_is_answered_with_the_nearest_name(
    client: FlaskClient, field: str, misspell: Callable[[str], str]
) -> None:
    wrong = misspell(field)
    for answer in (
        client.get("/prediction", query_string={wrong: "testdata.csv"}),
        client.post("/prediction", json={wrong: "testdata.csv"}),
    ):
        assert answer.status_code == 400
        assert answer.json
        assert answer.json["column"] == wrong
        assert answer.json["hint"] == f"did you mean '{field}'?"


@pytest.mark.parametrize("path", ["/scoring", "/summarystats", "/diagnostics"])
def test_an_endpoint_without_fields_refuses_every_field(client: FlaskClient, path: str) -> None:
    assert client.get(path, query_string={"filename": "testdata.csv"}).status_code == 400
    assert client.post(path, json={"filename": "testdata.csv"}).status_code == 400
    assert client.post(path, json={}).status_code == 200


def test_a_query_that_is_not_utf_8_is_refused(client: FlaskClient) -> None:
    answer = client.get("/prediction", environ_overrides={"QUERY_STRING": "filename=\xff.csv"})
    assert answer.status_code == 400


def test_the_same_location_may_be_given_twice(client: FlaskClient) -> None:
    answer = client.post("/prediction?filename=testdata.csv&filepath=testdata.csv", json={"data_path": "testdata.csv"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("filename=testdata.csv&filename=finaldata.csv", {}),
        ("filename=testdata.csv&data_path=finaldata.csv", {}),
        ("filename=testdata.csv", {"filename": "finaldata.csv"}),
    ],
)
def test_two_different_locations_are_refused(client: FlaskClient, query: str, body: dict[str, str]) -> None:
    answer = client.post(f"/prediction?{query}", json=body)
    assert answer.status_code == 400
    assert answer.json
    assert "more than one location" in answer.json["detail"]


@pytest.mark.parametrize(
    "kind",
    [
        *("", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "text/json", "x"),
        *("multipart/form-data; boundary=x", "application/json; charset=latin-1", "application/problem+json"),
    ],
)
def test_a_body_that_is_not_declared_as_json_is_unsupported(client: FlaskClient, kind: str) -> None:
    for path in ("/prediction", "/scoring", "/summarystats", "/diagnostics"):
        answer = client.post(path, data=b"{}", content_type=kind)
        assert (path, answer.status_code) == (path, 415)


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON"]
)
def test_json_may_say_that_it_is_utf_8(client: FlaskClient, kind: str) -> None:
    answer = client.post("/prediction", data=b'{"filename": "testdata.csv"}', content_type=kind)
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_an_empty_body_may_have_any_type(client: FlaskClient, kind: str) -> None:
    assert client.post("/prediction", data=b"", content_type=kind).status_code == 200


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(client: FlaskClient) -> None:
    body = b'{"filename": "testdata.csv"}'
    within = client.post("/prediction", data=body.ljust(LARGEST_BODY), content_type=JSON)
    beyond = client.post("/prediction", data=body.ljust(LARGEST_BODY + 1), content_type=JSON)
    assert (within.status_code, beyond.status_code) == (200, 413)


@pytest.mark.parametrize("size", [LARGEST_BODY + 1, LARGEST_BODY + 2, 10 * LARGEST_BODY])
def test_a_body_without_a_length_is_not_cut_off_but_refused(client: FlaskClient, size: int) -> None:
    body = b'{"filename": "testdata.csv"}'.ljust(size)
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = client.post("/prediction", data=body, content_type=JSON, environ_overrides=chunked)
    assert answer.status_code == 413
