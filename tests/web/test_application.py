from __future__ import annotations

import ast
import hashlib
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flask.testing import FlaskClient

from holdfast.limits import Limits
from holdfast.records import to_json
from holdfast.serving import Limit, deployed, predict
from holdfast.sources import readers
from holdfast.sources.api import ENDPOINTS
from holdfast.sources.readers import PROGRAM, Answer, Child, Question, Readers
from holdfast.steps.diagnostics import summarise
from holdfast.steps.scoring import score_deployed
from holdfast.web import application, create_app
from holdfast.web.requests import LOCATION_FIELDS
from holdfast.workspace import Workspace

PATHS = [f"/{name}" for name in ENDPOINTS]
HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
PICKLE = pickle.dumps(pd.DataFrame({"lastmonth_activity": [1]}))


class Evil:
    """Calls `os.system` when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("true",)


Listen = Callable[[], AbstractContextManager[list[tuple[str, tuple[Any, ...]]]]]


def state_of(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder; the database's own working files come and go."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# ---- the four endpoints


def test_the_endpoints_are_those_that_the_client_calls() -> None:
    assert tuple(application.ENDPOINTS) == ENDPOINTS


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_answers_get_and_post_with_json(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json


def test_a_prediction_is_the_record_of_the_prediction(client: FlaskClient, workspace: Workspace) -> None:
    assert client.get("/prediction").json == to_json(predict(workspace))


def test_a_prediction_tells_client_probability_and_prediction_of_every_row(
    client: FlaskClient, workspace: Workspace
) -> None:
    answer = client.get("/prediction?filename=testdata.csv").json
    rows = pd.read_csv(workspace.test_folder / "testdata.csv", dtype={"corporation": str})
    assert answer
    assert [each["client"] for each in answer["predictions"]] == rows["corporation"].tolist()
    assert all(0 < each["probability"] < 1 for each in answer["predictions"])
    assert all(each["prediction"] == (each["probability"] > 0.5) for each in answer["predictions"])
    assert (answer["rows"], answer["quarantined"], answer["rejected"]) == (len(rows), 0, [])


def test_the_served_predictions_are_those_of_the_deployed_pickle(client: FlaskClient, workspace: Workspace) -> None:
    model = pickle.loads((workspace.deployment_folder / "trainedmodel.pkl").read_bytes())
    rows = pd.read_csv(workspace.test_folder / "testdata.csv")
    features = rows[["lastmonth_activity", "lastyear_activity", "number_of_employees"]]
    answer = client.get("/prediction").json
    assert answer
    assert [each["prediction"] for each in answer["predictions"]] == model.predict(features).tolist()
    assert [each["probability"] for each in answer["predictions"]] == pytest.approx(
        model.predict_proba(features)[:, 1].tolist(), abs=1e-12
    )
    assert 0 < sum(each["prediction"] for each in answer["predictions"]) < len(rows)


def test_a_row_that_breaks_the_schema_is_told_with_its_line_and_rule(own: Workspace) -> None:
    (own.input_folder / "new.csv").write_text(HEADER + "a,1,2,3,\nb,-1,2,3,\nc,4,5,6,0\n")
    answer = create_app(own).test_client().get("/prediction?filename=new.csv").json
    assert answer
    assert [each["client"] for each in answer["predictions"]] == ["a", "c"]
    assert [(each["line"], each["column"]) for each in answer["rejected"]] == [(3, "lastmonth_activity")]
    assert (answer["rows"], answer["quarantined"]) == (2, 1)


def test_a_prediction_needs_no_target_column(own: Workspace) -> None:
    header = HEADER.replace(",exited", "")
    (own.input_folder / "new.csv").write_text(header + "a,1,2,3\n")
    answer = create_app(own).test_client().get("/prediction?filename=new.csv").json
    assert answer
    assert answer["rows"] == 1


def test_the_score_is_the_deployed_models_scorecard(client: FlaskClient, workspace: Workspace) -> None:
    answer = client.get("/scoring").json
    with Readers(1) as pool:
        card = score_deployed(workspace, deployed(workspace), pool)
    assert answer == {
        "f1": card.f1.value,
        "release": (workspace.deployment_folder / "current").readlink().name,
        "scorecard": to_json(card),
    }
    assert answer["f1"] == float((workspace.deployment_folder / "latestscore.txt").read_text())


def test_the_statistics_are_those_of_every_column(client: FlaskClient, workspace: Workspace) -> None:
    answer = client.get("/summarystats").json
    data = pd.read_csv(workspace.output_folder / "finaldata.csv")
    assert answer
    assert answer == {"rows": len(data), "columns": to_json(summarise(workspace))}
    numbers = {each["column"]: each for each in answer["columns"]}
    for name in ("lastmonth_activity", "lastyear_activity", "number_of_employees"):
        assert numbers[name]["mean"] == pytest.approx(data[name].mean())
        assert numbers[name]["median"] == pytest.approx(data[name].median())
        assert numbers[name]["standard_deviation"] == pytest.approx(data[name].std())


def test_the_diagnostics_tell_timings_missing_data_and_packages(client: FlaskClient, workspace: Workspace) -> None:
    answer = client.get("/diagnostics").json
    assert answer
    assert tuple(answer) == application.DIAGNOSED
    assert [each["step"] for each in answer["timings"]] == ["ingest", "train", "score"]
    assert all(each["seconds"] > 0 for each in answer["timings"])
    assert answer["missing"] == dict.fromkeys(workspace.schema.names, 0.0)
    assert set(answer["packages"]) == {"checked", "reachable", "message", "examined", "outdated"}
    assert answer["release"] == (workspace.deployment_folder / "current").readlink().name


def test_the_health_is_told_with_the_release(client: FlaskClient, workspace: Workspace) -> None:
    release = (workspace.deployment_folder / "current").readlink().name
    assert client.get("/healthz").json == {"status": "ok", "release": release}


# ---- public client scripts


@pytest.mark.parametrize("field", LOCATION_FIELDS)
@pytest.mark.parametrize("way", ["GET query", "POST query", "GET json", "POST json"])
def test_a_client_may_name_the_location_as_it_always_did(client: FlaskClient, field: str, way: str) -> None:
    method, place = way.split()
    fields = {field: "testdata/testdata.csv"}
    if place == "query":
        answer = client.open("/prediction", method=method, query_string=fields)
    else:
        answer = client.open("/prediction", method=method, json=fields)
    assert answer.status_code == 200
    assert answer.json
    assert (answer.json["location"], answer.json["rows"]) == ("testdata/testdata.csv", 120)


@pytest.mark.parametrize(
    ("location", "rows"),
    [
        ("testdata/testdata.csv", 120),
        ("/testdata/testdata.csv", 120),
        ("testdata//testdata.csv", 120),
        ("./testdata/testdata.csv", 120),
        ("testdata.csv", 120),
        ("testdata", 120),
        ("/testdata/", 120),
        ("practicedata/dataset1.csv", 200),
        ("dataset1.csv", 200),
        ("ingesteddata/finaldata.csv", 200),
        ("finaldata.csv", 200),
        ("ROOT/testdata/testdata.csv", 120),
        ("ROOT/testdata", 120),
        ("ROOT/practicedata/dataset1.csv", 200),
    ],
)
def test_a_location_of_the_workspaces_data_is_found(
    client: FlaskClient, workspace: Workspace, location: str, rows: int
) -> None:
    answer = client.get("/prediction", query_string={"filepath": location.replace("ROOT", str(workspace.root))})
    assert answer.json
    assert (answer.status_code, answer.json.get("rows")) == (200, rows)


def test_a_client_script_that_writes_two_slashes_is_answered(client: FlaskClient) -> None:
    answer = client.get("/", environ_overrides={"PATH_INFO": "//prediction"}, follow_redirects=True)
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["rows"] == 120


# ---- reading only


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_no_request_changes_a_file_of_the_workspace(workspace: Workspace, client: FlaskClient, method: str) -> None:
    before = state_of(workspace.root)
    for path in (*PATHS, "/healthz", "/prediction?filename=finaldata.csv", "/prediction?filename=../x", "/nowhere"):
        client.open(path, method=method)
    assert state_of(workspace.root) == before


@pytest.mark.parametrize("path", [*PATHS, "/healthz"])
def test_no_request_creates_anything_in_a_fresh_workspace(fresh: Workspace, path: str) -> None:
    before = sorted(fresh.root.rglob("*"))
    create_app(fresh).test_client().get(path)
    assert sorted(fresh.root.rglob("*")) == before


def test_the_web_package_reaches_no_step_that_trains_or_writes() -> None:
    reached = set()
    for path in Path(application.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast.steps"):
                reached |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                assert not [alias for alias in node.names if alias.name.startswith("holdfast.steps")]
    assert reached == {"current_diagnosis", "score_deployed", "summarise"}


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/python-pickle", "", "application/x-pickle"])
def test_a_pickle_is_refused_and_never_opened(client: FlaskClient, listen: Listen, kind: str) -> None:
    with listen() as events:
        for path, body in itertools.product(PATHS, (PICKLE, pickle.dumps(Evil()))):
            assert client.post(path, data=body, content_type=kind).status_code == 415
    assert not [event for event, _ in events if event != "open"]


def started_by(events: list[tuple[str, tuple[Any, ...]]]) -> list[str]:
    """What was unpickled, connected to or started, but for reading processes."""
    readers = [sys.executable, "-P", "-m", PROGRAM]
    others = [(event, arguments) for event, arguments in events if event != "open"]
    return [event for event, arguments in others if event != "subprocess.Popen" or arguments[1][:4] != readers]


def test_no_endpoint_unpickles_connects_or_starts_anything_but_reading_processes(
    workspace: Workspace, listen: Listen
) -> None:
    client = create_app(workspace).test_client()
    with listen() as events:
        for path in (*PATHS, "/healthz"):
            assert client.get(path).status_code == 200
    assert not started_by(events)


def test_the_server_keeps_its_reading_process_and_its_limits(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def start() -> Child:
        started.append(Child())
        return started[-1]

    monkeypatch.setattr(readers, "Child", start)
    app = create_app(own)
    client = app.test_client()
    for path in ("/prediction", "/scoring", "/prediction?filename=testdata.csv", "/prediction"):
        assert client.get(path).status_code == 200
    assert len(started) == 1
    limited = create_app(replace(own, limits=Limits(columns=4))).test_client()
    answer = limited.get("/prediction")
    assert (answer.status_code, "at most 4 are read" in answer.text) == (422, True)
    for child in started:
        child.end()


def test_a_file_that_kills_its_reader_costs_one_answer(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create_app(own).test_client()
    real = Child.ask

    def ask_or_die(self: Child, question: Question) -> Iterator[Answer]:
        os.kill(self._process.pid, signal.SIGSEGV)
        return real(self, question)

    with monkeypatch.context() as patch:
        patch.setattr(Child, "ask", ask_or_die)
        answer = client.get("/prediction")
    assert answer.status_code == 422
    assert answer.json
    assert answer.json["detail"] == "the process that read it died (SIGSEGV)"
    assert client.get("/prediction").status_code == 200


def test_a_pickle_in_a_data_folder_is_not_opened_as_one(own: Workspace, listen: Listen) -> None:
    (own.input_folder / "evil.csv").write_bytes(pickle.dumps(Evil()))
    client = create_app(own).test_client()
    with listen() as events:
        answer = client.get("/prediction?filename=evil.csv")
    assert answer.status_code == 422
    assert not started_by(events)


def test_an_exchanged_pickle_in_production_changes_no_answer(own: Workspace) -> None:
    client = create_app(own).test_client()
    before = client.get("/prediction").json
    (own.deployment_folder / "trainedmodel.pkl").resolve().write_bytes(pickle.dumps(Evil()))
    assert client.get("/prediction").json == before


# ---- what is missing or damaged


@pytest.mark.parametrize("path", ["/prediction", "/scoring"])
def test_without_a_model_the_client_is_told_to_come_back(fresh: Workspace, path: str) -> None:
    answer = create_app(fresh).test_client().get(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"].isdecimal()
    assert answer.json
    assert answer.json["code"] == "nothing-deployed"


def test_without_data_there_is_a_conflict(fresh: Workspace) -> None:
    answer = create_app(fresh).test_client().get("/summarystats")
    assert answer.status_code == 409
    assert answer.json
    assert answer.json["code"] == "no-usable-data"


def test_without_data_the_diagnostics_say_what_is_missing(fresh: Workspace) -> None:
    answer = create_app(fresh).test_client().get("/diagnostics")
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["notices"] == ["no summary: there is no dataset yet", "no model is deployed yet"]


@pytest.mark.parametrize("path", ["/summarystats", "/diagnostics"])
def test_a_question_makes_no_file(fresh: Workspace, path: str) -> None:
    before = sorted(fresh.root.rglob("*"))
    create_app(fresh).test_client().get(path)
    assert sorted(fresh.root.rglob("*")) == before


def test_without_a_model_the_server_is_healthy(fresh: Workspace) -> None:
    answer = create_app(fresh).test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "release": None})


def test_a_release_is_served_as_soon_as_it_is_deployed(
    own: Workspace, two_releases: tuple[Workspace, str, str]
) -> None:
    _, first, second = two_releases
    client = create_app(own).test_client()
    point(own, first)
    assert client.get("/healthz").json == {"status": "ok", "release": first}
    point(own, second)
    assert client.get("/healthz").json == {"status": "ok", "release": second}


@pytest.mark.parametrize("path", ["/prediction", "/scoring"])
@pytest.mark.parametrize("file", ["model.json", "release.json"])
@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format"', b"\x80\x04.", None])
def test_a_damaged_release_is_not_served(own: Workspace, path: str, file: str, damage: bytes | None) -> None:
    target = (own.deployment_folder / "current" / file).resolve()
    if damage is None:
        target.unlink()
    else:
        target.write_bytes(damage)
    answer = create_app(own).test_client().get(path)
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["code"] == "model-file-damaged"
    assert str(own.root) not in answer.text


def test_the_diagnostics_tell_of_a_damaged_release(own: Workspace) -> None:
    (own.deployment_folder / "current" / "model.json").resolve().write_bytes(b"{}")
    answer = create_app(own).test_client().get("/diagnostics").json
    assert answer
    assert any("not the bytes that were released" in notice for notice in answer["notices"])


def test_one_flipped_bit_of_the_model_is_not_served(own: Workspace) -> None:
    target = (own.deployment_folder / "current" / "model.json").resolve()
    good = target.read_bytes()
    client = create_app(own).test_client()
    for place in range(0, len(good), 37):
        target.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert client.get("/prediction").status_code == 503
    target.write_bytes(good)
    assert client.get("/prediction").status_code == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "file-refused"),
        ("a;b;c\n1;2;3\n", "file-refused"),
        (HEADER.replace("number_of_employees", "employees") + "a,1,2,3,0\n", "file-refused"),
        ("\ufeff".encode("utf-16").decode("latin-1") + "x", "file-refused"),
    ],
)
def test_a_file_that_cannot_be_read_is_unprocessable(own: Workspace, content: str, code: str) -> None:
    (own.input_folder / "bad.csv").write_text(content, encoding="latin-1")
    answer = create_app(own).test_client().get("/prediction?filename=bad.csv")
    assert answer.status_code == 422
    assert answer.json
    assert (answer.json["code"], answer.json["file"]) == (code, "bad.csv")


def test_a_folder_without_a_file_is_a_conflict(own: Workspace) -> None:
    (own.test_folder / "testdata.csv").unlink()
    client = create_app(own).test_client()
    assert client.get("/prediction").status_code == 409
    assert client.get("/prediction?filename=testdata").status_code == 409
    assert client.get("/scoring").status_code == 409


def test_a_data_folder_that_does_not_exist_is_no_error_of_the_server(own: Workspace) -> None:
    (own.input_folder / "dataset1.csv").unlink()
    own.input_folder.rmdir()
    assert create_app(own).test_client().get("/prediction?filename=practicedata/dataset1.csv").status_code == 400


def test_a_missing_test_folder_is_told_with_its_key(own: Workspace) -> None:
    own.test_folder.rename(own.root / "testdat")
    answer = create_app(own).test_client().get("/prediction")
    assert answer.status_code == 500
    assert answer.json
    assert (answer.json["code"], answer.json["file"]) == ("configuration", "testdata")
    assert (answer.json["column"], answer.json["hint"]) == ("test_data_path", "did you mean 'testdat'?")


# ---- limits


def test_more_rows_than_an_answer_holds_are_refused_before_the_file_is_read_to_its_end(
    own: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{i:0300},1,2,3,0\n" for i in range(20_000))
    unreadable = 'x,"never closed\n'
    (own.input_folder / "big.csv").write_text(HEADER + rows + unreadable)
    client = create_app(own).test_client()
    assert client.get("/prediction?filename=big.csv").status_code == 422
    monkeypatch.setattr(application, "LARGEST_ANSWER", Limit(bytes=10**9, rows=1_000))
    answer = client.get("/prediction?filename=big.csv")
    assert answer.status_code == 413
    assert answer.json
    assert (answer.json["code"], answer.json["detail"]) == ("too-large", "more than 1,000 rows")
    assert "holdfast assess" in answer.json["hint"]


def test_as_many_rows_as_an_answer_holds_are_answered(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "LARGEST_ANSWER", Limit(bytes=10**9, rows=120))
    assert client.get("/prediction").status_code == 200
    monkeypatch.setattr(application, "LARGEST_ANSWER", Limit(bytes=10**9, rows=119))
    assert client.get("/prediction").status_code == 413


def test_more_bytes_than_an_answer_holds_are_refused_unread(own: Workspace) -> None:
    file = own.input_folder / "big.csv"
    file.touch()
    os.truncate(file, application.LARGEST_ANSWER.bytes + 1)
    answer = create_app(own).test_client().get("/prediction?filename=big.csv")
    assert answer.status_code == 413
    assert answer.json
    assert answer.json["detail"] == "more than 200,000,000 bytes"


# ---- one release per answer


def point(workspace: Workspace, release: str) -> None:
    """Let production show a release, as a deployment does."""
    link = workspace.deployment_folder / ".current.next"
    link.symlink_to(f"releases/{release}")
    link.replace(workspace.deployment_folder / "current")


@pytest.mark.parametrize("path", ["/prediction", "/scoring"])
def test_every_answer_comes_whole_from_the_release_that_it_names(
    two_releases: tuple[Workspace, str, str], path: str
) -> None:
    workspace, *releases = two_releases
    client = create_app(workspace).test_client()
    expected = {}
    for release in releases:
        point(workspace, release)
        expected[release] = client.get(path).json
    assert expected[releases[0]] != expected[releases[1]]
    stop = threading.Event()

    def redeploy() -> None:
        for release in itertools.cycle(releases):
            point(workspace, release)
            if stop.wait(0.001):
                return

    thread = threading.Thread(target=redeploy)
    thread.start()
    try:
        answers = [client.get(path) for _ in range(50)]
    finally:
        stop.set()
        thread.join()
    named = [answer.json["release"] for answer in answers if answer.status_code == 200 and answer.json]
    assert set(named) == set(releases)
    assert [answer.json for answer in answers if answer.status_code == 200] == [expected[name] for name in named]
    # While releases follow each other every millisecond a score may give up; a prediction never does.
    assert {answer.status_code for answer in answers} <= ({200} if path == "/prediction" else {200, 503})


# ---- headers, hosts, and what the application is


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
@pytest.mark.parametrize("path", [*PATHS, "/healthz", "/nowhere", "/prediction?filename=/etc/passwd", "//scoring"])
def test_every_answer_has_the_headers_that_keep_it_private(
    client: FlaskClient, method: str, host: str, path: str
) -> None:
    target = {"PATH_INFO": "//scoring"} if path == "//scoring" else {}
    answer = client.open(path.replace("//", "/"), method=method, headers={"Host": host}, environ_overrides=target)
    for name, value in application.HEADERS.items():
        assert answer.headers.getlist(name) == [value]
    for name in ("Set-Cookie", "Server", "X-Powered-By", "Access-Control-Allow-Origin"):
        assert name not in answer.headers


def test_an_unexpected_error_has_the_headers_too(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> application.Answer:
        raise ZeroDivisionError

    monkeypatch.setitem(application.ENDPOINTS, "scoring", broken)
    answer = create_app(workspace).test_client().get("/scoring")
    assert answer.status_code == 500
    assert {name: answer.headers[name] for name in application.HEADERS} == application.HEADERS


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [*PATHS, "/healthz"])
def test_head_answers_like_get_without_the_body(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert bool(answer.data) == (method == "GET")


def test_options_tells_the_methods_and_nothing_else(client: FlaskClient) -> None:
    answer = client.options("/prediction")
    assert (answer.status_code, answer.data) == (204, b"")
    assert {each.strip() for each in answer.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":8000", ":1", ":65535"])
def test_a_host_of_this_machine_is_answered(client: FlaskClient, name: str, port: str) -> None:
    assert client.get("/healthz", headers={"Host": name + port}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost", "",
     "localhost@evil.example", "evil.example#localhost", "localhost:8000:8000", "localhost:", "localhost:port", "::1",
     "[::1", "[::2]", "127.0.0.2", "0.0.0.0", "10.0.0.1", "localhost, evil.example", "localhost evil.example", ".",
     "127.1", "2130706433", "localhost.", "lo\xa0calhost", "localhost/..", "localhost\\evil"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/healthz", "/prediction", "/nowhere"])
def test_a_host_that_is_not_this_machine_is_refused(client: FlaskClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code in {400, 421}
    assert answer.mimetype == "application/problem+json"


def test_the_application_has_no_debugger_no_secret_and_no_static_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = create_app(workspace)
    assert not app.debug
    assert app.secret_key is None
    assert sorted(rule.rule for rule in app.url_map.iter_rules()) == sorted([*PATHS, "/healthz"])


def test_two_applications_share_nothing(workspace: Workspace, fresh: Workspace) -> None:
    one, other = create_app(workspace), create_app(fresh)
    assert one.test_client().get("/prediction").status_code == 200
    assert other.test_client().get("/prediction").status_code == 503


def test_importing_the_package_imports_neither_flask_nor_numbers() -> None:
    heavy = {"flask", "werkzeug", "granian", "numpy", "pyarrow", "pandas", "sklearn", "duckdb", "sqlalchemy"}
    code = f"import json, sys, holdfast.web; print(json.dumps(sorted({heavy!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
