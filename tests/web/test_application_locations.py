"""Locations that lead, or pretend to lead, outside the workspace's data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from holdfast.web import create_app
from holdfast.workspace import Workspace

Listen = Callable[[], AbstractContextManager[list[tuple[str, tuple[Any, ...]]]]]

UPWARDS = [
    f"{start}{'../' * steps}{target}"
    for start in ("", "/", "./", "testdata/", "/testdata/", "ingesteddata/deliveries/")
    for steps in (1, 2, 3, 8)
    for target in ("etc/passwd", "outside/secret.csv", "config.json")
]
ABSOLUTE = """
    /etc/passwd //etc/passwd ///etc/passwd /etc/./passwd /etc//passwd / // /. /.. /../ /tmp /root/.ssh/id_rsa
    /proc/self/environ /proc/self/cwd/testdata/testdata.csv /proc/self/root/etc/passwd /proc/self/fd/0
    /sys/kernel/notes /dev/stdin /dev/zero /dev/random /dev/tty /dev/fd/0 ~ ~/x.csv ~root/x.csv $HOME/x.csv ${HOME}
    `id` $(id) |id x.csv;id
"""
ADDRESSES = r"""
    http://127.0.0.1/x.csv https://example.com/x.csv HTTP://EXAMPLE.COM/x //example.com/x.csv ///example.com/x.csv
    file:///etc/passwd file:/etc/passwd file:testdata.csv http:testdata.csv ftp://example.com/x.csv gopher://x
    zip://x.csv s3://bucket/x.csv gs://bucket/x hdfs://host/x data:text/csv,a jar:file:x C:x.csv C:/windows/win.ini
    c:\windows\win.ini \\host\share\x.csv //host/share/x.csv \etc\passwd testdata\testdata.csv ..\config.json
    testdata\..\config.json testdata/..\config.json
"""
ENCODED = r"""
    %00 %2e%2e/x.csv %2e%2e%2fx ..%2fx ..%c0%afx ..;/config.json ....//config.json ..././config.json testdata.csv?x
    testdata.csv#x testdata.csv::$DATA testdata/*.csv testdata/[a-z]* {testdata.csv} testdata.csv. testdata.csv~
    TESTDATA.CSV
"""
ELSEWHERE = """
    . .. ... ./ ../ ./. ./.. /./ - -- testdata/.. testdata/../ testdata/testdata.csv/x testdata/testdata.csv/..
    nowhere.csv config.json app.py wsgi.py logs/holdfast.jsonl models/model.json practicemodels/model.json
    trainedmodel.pkl model.json production_deployment/model.json production_deployment/current/model.json
    .holdfast/ledger.sqlite .holdfast/lock .git/config __pycache__ sourcedata/x.csv testdata/nowhere.csv
    testdata/nowhere/ testdatax/x.csv ingesteddata/deliveries ingesteddata/quarantine
"""
UNPRINTABLE = [
    "",
    " ",
    "\t",
    "\n",
    "\0",
    "testdata.csv\0",
    "\0testdata.csv",
    "testdata/testdata.csv\0.txt",
    "testdata\0/testdata.csv",
    "testdata.csv\n",
    "testdata.csv\r\nX: y",
    "\x1b[2Jtestdata.csv",
    "test\u202edata.csv",
    "testdata.csv\ud800",
    " testdata.csv",
    "testdata.csv ",
    "testdata /testdata.csv",
    "testdata\uff0ftestdata.csv",
    "testdata\u2215testdata.csv",
    "\u2024\u2024/config.json",
    "\u2025/config.json",
    "\uff0e\uff0e/config.json",
    "\uff54\uff45\uff53\uff54data.csv",
]
LONG = ["x" * 256, "x" * 5_000, f"testdata/{'x' * 300}", "x/" * 3_000, f"{'/' * 5_000}etc", "\u00e9" * 200]
WORDS = ABSOLUTE + ADDRESSES + ENCODED + ELSEWHERE
HOSTILE = list(dict.fromkeys([*UPWARDS, *WORDS.split(), *UNPRINTABLE, *LONG]))


def test_the_list_of_hostile_locations_is_long() -> None:
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("location", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_location_is_a_bad_request(client: FlaskClient, location: str) -> None:
    sent = location.encode("utf-8", "replace").decode()
    for answer in (
        client.get("/prediction", query_string={"filename": sent}),
        client.post("/prediction", json={"filepath": location}),
    ):
        assert answer.status_code == 400
        assert answer.json
        assert answer.json["code"] == "location-refused"


def test_a_hostile_location_opens_nothing_outside_the_workspace(
    client: FlaskClient, workspace: Workspace, listen: Listen
) -> None:
    client.get("/prediction")
    with listen() as events:
        for location in [*HOSTILE, "testdata.csv", "testdata", "ingesteddata/finaldata.csv"]:
            client.post("/prediction", json={"filename": location})
    assert not {event for event, _ in events if event != "open"}
    opened = [arguments for _, arguments in events]
    assert len(opened) > len(HOSTILE)
    assert not [arguments for arguments in opened if not is_confined(workspace.root, *arguments)]


def is_confined(root: Path, path: object, _mode: object, flags: int) -> bool:
    """A descriptor that is open already, a path below the workspace, or one component that is no link."""
    if isinstance(path, int):
        return True
    text = os.fsdecode(path)  # type: ignore[arg-type]
    if re.fullmatch("/proc/[0-9]+/statm", text):  # how much memory the reading process holds
        return True
    if text.startswith("/"):
        return text.startswith(f"{root}/") and ".." not in text.split("/")
    return "/" not in text and text not in {"", ".", ".."} and bool(flags & os.O_NOFOLLOW)


@pytest.fixture
def trapped(own: Workspace) -> Workspace:
    """A workspace whose data folders hold links and other things that are no files."""
    outside = own.root.parent / "outside"
    outside.mkdir()
    secret = (own.test_folder / "testdata.csv").read_text().replace("c2-", "secret-")
    (outside / "secret.csv").write_text(secret)
    (own.root.parent / "company-two").mkdir()
    (own.root.parent / "company-two" / "secret.csv").write_text(secret)
    data = own.test_folder
    (data / "file.csv").symlink_to(outside / "secret.csv")
    (data / "relative.csv").symlink_to("../../outside/secret.csv")
    (data / "folder").symlink_to(outside)
    (data / "dangling.csv").symlink_to(outside / "nothing.csv")
    (data / "loop.csv").symlink_to("loop.csv")
    (data / "inside.csv").symlink_to("testdata.csv")
    (data / "root").symlink_to("/")
    (data / "self").symlink_to("/proc/self")
    (data / "real").mkdir()
    (data / "real" / "link.csv").symlink_to("../../../outside/secret.csv")
    os.mkfifo(data / "tube.csv")
    return own


TRAPS = """
    testdata/file.csv file.csv testdata/relative.csv relative.csv testdata/folder testdata/folder/
    testdata/folder/secret.csv testdata/folder/nothing.csv testdata/dangling.csv dangling.csv loop.csv
    testdata/loop.csv inside.csv testdata/inside.csv testdata/root/etc/passwd testdata/self/environ
    testdata/self/root/etc/passwd testdata/real/link.csv testdata/real testdata/tube.csv tube.csv
    ROOT/testdata/file.csv ROOT/../outside/secret.csv ROOT-two/secret.csv ROOT ROOT/ ROOT/config.json
    OUTSIDE/secret.csv OUTSIDE /OUTSIDE/secret.csv ROOT/OUTSIDE/secret.csv testdata/OUTSIDE/secret.csv
"""


def test_a_link_or_a_device_in_a_data_folder_is_refused(trapped: Workspace, listen: Listen) -> None:
    client = create_app(trapped).test_client()
    client.get("/healthz")
    outside = str(trapped.root.parent / "outside")
    with listen() as events:
        for trap in TRAPS.split():
            location = trap.replace("ROOT", str(trapped.root)).replace("OUTSIDE", outside)
            answer = client.post("/prediction", json={"filename": location})
            assert (trap, answer.status_code) == (trap, 400)
            assert "secret-" not in answer.text
    assert not [arguments for event, arguments in events if not is_confined(trapped.root, *arguments)]


def test_a_folder_is_answered_without_the_links_in_it(trapped: Workspace) -> None:
    answer = create_app(trapped).test_client().get("/prediction?filename=testdata")
    assert answer.json
    assert (answer.status_code, answer.json["rows"]) == (200, 120)
    assert "secret-" not in answer.text


def test_an_answer_does_not_tell_whether_a_file_outside_exists(trapped: Workspace) -> None:
    client = create_app(trapped).test_client()
    outside = trapped.root.parent / "outside"
    for here, gone in (
        (f"{outside}/secret.csv", f"{outside}/absent.csv"),
        ("../outside/secret.csv", "../outside/absent.csv"),
        ("testdata/folder/secret.csv", "testdata/folder/absent.csv"),
        ("file.csv", "dangling.csv"),
        ("testdata/file.csv", "testdata/dangling.csv"),
    ):
        answers = [client.post("/prediction", json={"filename": location}).json for location in (here, gone)]
        for answer in answers:
            assert answer
            answer["file"] = None
        assert answers[0] == answers[1]


def test_the_hint_names_only_files_of_the_data_folders(trapped: Workspace) -> None:
    client = create_app(trapped).test_client()
    for location in ("secre.csv", "testdata/secre.csv", "../outside/secre.csv", "testdata/folder/secre.csv"):
        assert "secret.csv" not in client.post("/prediction", json={"filename": location}).text


def test_a_file_that_becomes_a_link_while_it_is_asked_for_is_never_followed(trapped: Workspace) -> None:
    client = create_app(trapped).test_client()
    file, spare = trapped.test_folder / "swapped.csv", trapped.test_folder / ".spare"
    good = (trapped.test_folder / "testdata.csv").read_bytes()
    answers = []
    for turn in range(60):
        if turn % 2:
            spare.symlink_to(trapped.root.parent / "outside" / "secret.csv")
        else:
            spare.write_bytes(good)
        spare.replace(file)
        answers.append(client.get("/prediction?filename=testdata/swapped.csv"))
    assert [answer.status_code for answer in answers] == [200, 400] * 30
    assert not [answer for answer in answers if "secret-" in answer.text]
