"""`holdfast serve` as its users start and stop it: real processes on real ports."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.errors import InputOutputError
from holdfast.frontdoor import COMMANDS
from holdfast.sources.api import ENDPOINTS, wait_for
from holdfast.web.command import new_server, refuse_taken_port, run_until_stopped, serve
from holdfast.workspace import Workspace

SECONDS = 30
BIN = Path(sys.executable).parent
HOLDFAST = [sys.executable, "-m", "holdfast"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str, method: str = "GET", body: object = None) -> tuple[int, dict[str, object]]:
    """Status and JSON answer of a running server."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask_until_answered(port: int, path: str) -> tuple[int, dict[str, object]]:
    """The same, from a server that is just being started anew."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            return ask(port, path)
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A server of its own process group, answering; killed at the end if it has not ended by then."""
    environment = os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}", SECONDS)
            assert process.poll() is None, process.communicate()
            assert ask(port, "/healthz")[1]["status"] == "ok"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that `process` has started."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(each) for each in text.split()]


def have_ended(processes: list[int]) -> bool:
    """Whether none of them lives any more, within a few seconds."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if not any(is_alive(each) for each in processes):
            return True
        time.sleep(0.05)
    return False


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


SERVERS = {
    "app.py": lambda port: [sys.executable, "app.py", "--port", str(port)],
    "gunicorn": lambda port: [str(BIN / "gunicorn"), "--bind", f"127.0.0.1:{port}", "wsgi:app"],
    "granian": lambda port: [str(BIN / "granian"), "--interface", "wsgi", "--port", str(port), "wsgi:app"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_workspace_is_served_by_each_of_the_three_servers(own: Workspace, server: str) -> None:
    port = free_port()
    with running(SERVERS[server](port), port, own.root) as process:
        for path in ENDPOINTS:
            answers = [ask(port, f"/{path}", method) for method in ("GET", "POST")]
            assert [status for status, _ in answers] == [200, 200]
        for method in ("GET", "POST"):
            status, answer = ask(port, "/prediction", method, {"dataset_path": "testdata/testdata.csv"})
            assert (status, answer["rows"]) == (200, 120)
        assert ask(port, "/prediction?filename=../../etc/passwd")[0] == 400
        assert ask(port, "//prediction")[0] == 200
        started = [process.pid, *children(process)]
        process.terminate()
        out, error = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, out + error
        assert have_ended(started)


def test_the_script_and_the_client_script_use_the_configured_port(own: Workspace) -> None:
    port = free_port()
    config = json.loads((own.root / "config.json").read_text()) | {"port": port}
    (own.root / "config.json").write_text(json.dumps(config))
    with running([sys.executable, str(own.root / "app.py")], port, own.root):
        done = subprocess.run(
            [sys.executable, str(own.root / "apicalls.py")], cwd="/", capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    written = json.loads((own.model_folder / "apireturns.txt").read_text())
    assert tuple(written) == ENDPOINTS
    assert written["prediction"]["rows"] == 120
    assert written["scoring"]["f1"] == float((own.deployment_folder / "latestscore.txt").read_text())


SAID = {
    "": "holdfast: serving on http://127.0.0.1:PORT (Ctrl+C stops)\n",
    "--json": '{"address": "http://127.0.0.1:PORT"}\n',
    "--quiet": "",
}


@pytest.mark.parametrize("option", SAID)
def test_the_server_says_where_it_is_and_nothing_else(own: Workspace, option: str) -> None:
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port), *option.split()], port, own.root) as process:
        assert process.stdout
        said = process.stdout.readline() if SAID[option] else ""
        for path in ("/prediction", "/nowhere", "/prediction?filename=/etc/passwd"):
            ask(port, path)
        process.terminate()
        out, error = process.communicate(timeout=SECONDS)
    assert (said, out, error) == (SAID[option].replace("PORT", str(port)), "", "")


@pytest.mark.parametrize(
    ("end", "whole_group"),
    [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGHUP, True)],
    ids=["SIGTERM", "SIGINT", "Ctrl+C in a terminal", "the terminal is closed"],
)
def test_a_stopped_server_ends_with_status_0_and_leaves_nobody(
    own: Workspace, end: signal.Signals, whole_group: bool
) -> None:
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port)], port, own.root) as process:
        started = [process.pid, *children(process)]
        assert len(started) > 1
        os.killpg(process.pid, end) if whole_group else process.send_signal(end)
        _, error = process.communicate(timeout=SECONDS)
    assert (process.returncode, error) == (0, "")
    assert have_ended(started)
    refuse_taken_port(port)


def test_a_killed_server_takes_its_worker_along(own: Workspace) -> None:
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port)], port, own.root) as process:
        started = children(process)
        process.kill()
        process.wait(SECONDS)
        assert have_ended(started)
    refuse_taken_port(port)


def test_a_worker_that_is_killed_is_started_again(own: Workspace) -> None:
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port)], port, own.root) as process:
        worker = max(children(process))
        os.kill(worker, signal.SIGKILL)
        assert have_ended([worker])
        assert ask_until_answered(port, "/scoring")[0] == 200
        process.terminate()
        _, error = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "Unexpected exit from worker-1" in error


def test_a_request_that_is_being_answered_is_answered_before_the_server_stops(own: Workspace) -> None:
    rows = "".join(f"c{i},1,2,3,0\n" for i in range(60_000))
    header = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited\n"
    (own.input_folder / "big.csv").write_text(header + rows)
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port)], port, own.root) as process:
        ask(port, "/prediction")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /prediction?filename=big.csv HTTP/1.0\r\nHost: localhost\r\n\r\n")
            time.sleep(0.1)
            process.terminate()
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        process.communicate(timeout=SECONDS)
    assert json.loads(received.partition(b"\r\n\r\n")[2])["rows"] == 60_000
    assert process.returncode == 0


@pytest.fixture(scope="module")
def served(deployed_folder: Path) -> Iterator[int]:
    """The port of a server over the shared workspace."""
    port = free_port()
    with running([*HOLDFAST, "serve", "--port", str(port)], port, deployed_folder):
        yield port


def test_half_sent_headers_keep_nobody_waiting(served: int) -> None:
    stalled = [socket.create_connection(("127.0.0.1", served)) for _ in range(100)]
    for connection in stalled:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
    assert ask(served, "/healthz")[0] == 200
    for connection in stalled:
        connection.close()


def test_a_body_without_a_length_is_limited_on_the_wire_too(served: int) -> None:
    body = b'{"filename": "testdata.csv"}'.ljust(70_000)
    with socket.create_connection(("127.0.0.1", served)) as connection:
        connection.sendall(b"POST /prediction HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_no_answer_tells_the_version_of_the_server(served: int) -> None:
    with socket.create_connection(("127.0.0.1", served)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = b"".join(iter(lambda: connection.recv(1 << 16), b"")).partition(b"\r\n\r\n")[0].lower()
    told = [line for line in head.split(b"\r\n") if line.startswith((b"server:", b"x-powered-by:", b"via:"))]
    assert told == [b"server: granian"]


def test_a_worker_that_cannot_be_kept_running_is_an_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(**_: object) -> None:
        raise SystemExit(1)

    server = new_server(free_port())
    monkeypatch.setattr(multiprocessing, "set_start_method", lambda *_, **__: None)
    monkeypatch.setattr(server, "serve", give_up)
    with pytest.raises(InputOutputError, match="could not be kept running"):
        run_until_stopped(server, workspace)


def test_a_client_waits_for_a_server_no_longer_than_it_is_told() -> None:
    began = time.monotonic()
    wait_for(f"http://127.0.0.1:{free_port()}", 0.3)
    assert 0.3 <= time.monotonic() - began < SECONDS


def test_a_taken_port_is_a_clear_error(own: Workspace) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*HOLDFAST, "serve", "--workspace", str(own.root), "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert (done.returncode, done.stdout) == (InputOutputError.exit_status, "")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_a_port_that_was_in_use_a_moment_ago_is_free(own: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    refuse_taken_port(port)


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", ""])
def test_a_port_that_cannot_be_is_a_usage_error(own: Workspace, port: str) -> None:
    done = CliRunner().invoke(serve, ["--workspace", str(own.root), "--port", port])
    assert done.exit_code == 2
    assert "--port" in done.output


def test_without_a_workspace_nothing_is_served(tmp_path: Path) -> None:
    done = CliRunner().invoke(serve, ["--workspace", str(tmp_path)])
    assert done.exit_code == 78
    assert "config.json" in done.output


def test_serve_is_the_command_that_the_front_door_names() -> None:
    assert COMMANDS["serve"] == "holdfast.web.command:serve"
    assert serve.name == "serve"
