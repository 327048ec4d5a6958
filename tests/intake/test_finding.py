"""What lies in the folders: whole and still files are found, the others are waited for, named or left alone."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError, NotPermitted
from holdfast.intake import finding
from holdfast.intake.finding import Found, Lying, look
from holdfast.sourcelist import FolderSource
from holdfast.sources.files import digest_of_delivery, open_regular
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
HOUR = 3_600


def patient(workspace: Workspace) -> Workspace:
    """The workspace that waits a minute for the end of a file."""
    return replace(workspace, unfinished_seconds=60.0)


def unknown(_: Found) -> bool:
    return False


def names(lying: Lying) -> list[str]:
    return [file.name for file in lying.files]


def written(path: Path, data: bytes, seconds_ago: float = 0.0) -> Path:
    path.write_bytes(data)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))
    return path


# ---- what is found


def test_a_file_is_found_with_its_digest_size_and_folder(empty: Workspace) -> None:
    path = written(empty.input_folder / "a.csv", b"a,b\n")
    assert look(empty, unknown).files == (
        Found(path=path, folder="practicedata", digest=hashlib.sha256(b"a,b\n").hexdigest(), size=4),
    )


def test_files_come_folder_after_folder_each_in_name_order(empty: Workspace) -> None:
    columns = (("Company", "corporation"),)
    sources = (FolderSource(name="north", folder="n", columns=columns, sheet="May"), FolderSource(name="a", folder="s"))
    workspace = replace(empty, sources=sources)
    for folder in (empty.root / "n", empty.root / "s", empty.input_folder):
        folder.mkdir(exist_ok=True)
        for name in ("b.csv", "a.csv"):
            written(folder / name, b"a,b\n")
    found = [(file.folder, file.name, file.columns, file.sheet) for file in look(workspace, unknown).files]
    assert found == [
        *(("practicedata", name, (), None) for name in ("a.csv", "b.csv")),
        *(("north", name, columns, "May") for name in ("a.csv", "b.csv")),
        *(("a", name, (), None) for name in ("a.csv", "b.csv")),
    ]


def test_an_input_folder_that_does_not_exist_is_a_fault_of_the_configuration(empty: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="this folder does not exist") as caught:
        look(replace(empty, input_folder=empty.root / "practise"), unknown)
    assert (caught.value.column, caught.value.hint) == ("input_folder_path", "did you mean 'practicedata'?")


def test_a_source_whose_folder_is_not_there_is_told_and_the_others_are_looked_into(empty: Workspace) -> None:
    sources = [FolderSource(name=name, folder=name) for name in ("north", "south", "west")]
    (empty.root / "south").mkdir()
    (empty.root / "west").write_text("a file in its place")
    written(empty.root / "south" / "a.csv", b"a,b\n")
    lying = look(replace(empty, sources=tuple(sources)), unknown)
    assert names(lying) == ["a.csv"]
    told = [(error.file, error.exit_status, error.message.rpartition("/")[2]) for error in lying.absent]
    assert told == [("north", 69, "north does not exist"), ("west", 69, "west cannot read: Not a directory")]


def test_a_source_whose_folder_may_not_be_looked_into_is_told(beside_a_secret: Workspace, nobody: None) -> None:
    workspace = replace(beside_a_secret, sources=(FolderSource(name="north", folder="north"),))
    os.seteuid(0)
    (workspace.root / "north").mkdir(mode=0o700)
    os.seteuid(65534)
    lying = look(workspace, unknown)
    assert names(lying) == ["b.csv"]
    (error,) = lying.absent
    assert (type(error), error.file) == (NotPermitted, str(workspace.root / "north"))


def test_what_is_no_delivery_is_told_and_left_alone(empty: Workspace) -> None:
    (empty.input_folder / "notes.txt").write_text("x")
    (empty.input_folder / "link.csv").symlink_to("/etc/passwd")
    lying = look(empty, unknown)
    assert (lying.files, lying.deferred, lying.unreadable) == ((), (), ())
    assert lying.notices == (
        "link.csv: left alone, a link, not a file: copy the file itself here",
        "notes.txt: left alone, not a .csv, .csv.gz, .parquet, .xlsx file",
    )


@pytest.fixture
def nobody() -> Iterator[None]:
    """For the length of a test this process is a user whom nothing is permitted to."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become someone else")
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def beside_a_secret(empty: Workspace) -> Workspace:
    for folder in (empty.root, *empty.root.parents):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o755)
    written(empty.input_folder / "b.csv", b"a,b\n")
    written(empty.input_folder / "a.csv", b"a,b\n").chmod(0)
    return empty


def test_a_file_that_may_not_be_read_is_unreadable_and_the_others_are_found(
    beside_a_secret: Workspace, nobody: None
) -> None:
    lying = look(beside_a_secret, unknown)
    assert names(lying) == ["b.csv"]
    ((name, folder, error),) = lying.unreadable
    assert (name, folder, type(error)) == ("a.csv", "practicedata", NotPermitted)


def test_a_file_that_vanishes_before_it_is_opened_is_told_and_nothing_else(
    empty: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.csv", "b.csv"):
        written(empty.input_folder / name, b"a,b\n")

    def digest_of_what_is_left(path: Path) -> str:
        if path.name == "a.csv":
            path.unlink()
        return digest_of_delivery(path)

    monkeypatch.setattr(finding, "digest_of_delivery", digest_of_what_is_left)
    lying = look(empty, unknown)
    assert (names(lying), lying.unreadable) == (["b.csv"], ())
    assert lying.notices == ("a.csv: left alone, it has just vanished",)


def test_a_file_that_vanishes_before_its_end_is_looked_at_is_waited_for_and_the_others_are_found(
    empty: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.csv", "b.csv"):
        written(empty.input_folder / name, b"a,b\n")

    def open_what_is_left(path: Path) -> object:
        if path.name == "a.csv":
            path.unlink()
        return open_regular(path)

    monkeypatch.setattr(finding, "open_regular", open_what_is_left)
    lying = look(patient(empty), unknown)
    assert (names(lying), lying.unreadable) == (["b.csv"], ())
    (told,) = lying.deferred
    assert told.startswith("a.csv: left for the next time, cannot read: No such file")


# ---- what is waited for


UNFINISHED = {
    "a.csv": b"a,b\n1,2",
    "a.parquet": b"PAR1 and no end",
    "a.xlsx": b"PK\x03\x04 and no end",
}
FINISHED = {
    "a.csv": b"a,b\n1,2\n",
    "b.csv": b"a,b\r1,2\r",
    "c.csv": b"",
    "a.parquet": b"PAR1 and the end PAR1",
    "b.parquet": b"",
    "a.xlsx": b"PK\x03\x04 and the end PK\x05\x06\0\0",
    "b.xlsx": b"",
    "a.csv.gz": b"\x1f\x8b and who knows",
}


@pytest.mark.parametrize(("name", "data"), UNFINISHED.items())
def test_a_young_file_that_does_not_end_as_a_whole_one_is_waited_for(empty: Workspace, name: str, data: bytes) -> None:
    written(empty.input_folder / name, data, seconds_ago=30)
    lying = look(patient(empty), unknown)
    assert lying.files == ()
    assert lying.deferred == (
        f"{name}: left for the next time, it does not end as a whole file does; "
        "it is waited for until it has been left alone for 60 seconds",
    )


@pytest.mark.parametrize(("name", "data"), UNFINISHED.items())
def test_an_old_file_is_taken_as_it_is(empty: Workspace, name: str, data: bytes) -> None:
    written(empty.input_folder / name, data, seconds_ago=61)
    assert names(look(patient(empty), unknown)) == [name]


@pytest.mark.parametrize(("name", "data"), FINISHED.items())
def test_a_file_that_ends_as_a_whole_one_is_not_waited_for(empty: Workspace, name: str, data: bytes) -> None:
    written(empty.input_folder / name, data)
    assert names(look(patient(empty), unknown)) == [name]


def test_a_file_from_the_future_is_as_old_as_its_arrival(empty: Workspace) -> None:
    written(empty.input_folder / "a.csv", b"a,b\n1,2", seconds_ago=-HOUR)
    assert look(replace(empty, settle_seconds=0.0, unfinished_seconds=60.0), unknown).deferred
    time.sleep(0.05)
    assert names(look(replace(empty, settle_seconds=0.0, unfinished_seconds=0.05), unknown)) == ["a.csv"]


def test_a_known_file_is_not_waited_for(empty: Workspace) -> None:
    written(empty.input_folder / "a.csv", b"a,b\n1,2")
    begun = time.monotonic()
    lying = look(replace(empty, settle_seconds=HOUR, unfinished_seconds=HOUR), lambda _: True)
    assert names(lying) == ["a.csv"]
    assert time.monotonic() - begun < 10


def test_the_pause_is_as_long_as_the_youngest_file_needs(empty: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    written(empty.input_folder / "old.csv", b"a,b\n", seconds_ago=HOUR)
    look(replace(empty, settle_seconds=10.0), unknown)
    assert pauses == []
    written(empty.input_folder / "young.csv", b"a,b\n", seconds_ago=4)
    written(empty.input_folder / "younger.csv", b"a,b\n", seconds_ago=3)
    look(replace(empty, settle_seconds=10.0), unknown)
    assert len(pauses) == 1
    assert 5 < pauses[0] <= 7


@pytest.mark.parametrize("change", ["grows", "is replaced", "is touched", "vanishes"])
def test_a_file_that_changes_in_the_pause_is_waited_for(
    empty: Workspace, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = written(empty.input_folder / "a.csv", b"a,b\n")

    def sleep(_: float) -> None:
        if change == "grows":
            path.write_bytes(b"a,b\n1,2\n")
        elif change == "is replaced":
            written(path.with_name(".b"), b"c,d\n").replace(path)
        elif change == "is touched":
            os.utime(path, (0, 0))
        else:
            path.unlink()

    monkeypatch.setattr(time, "sleep", sleep)
    lying = look(replace(empty, settle_seconds=10.0), unknown)
    assert lying.files == ()
    assert lying.deferred == ("a.csv: left for the next time, it is still being written",)


def test_a_file_that_is_being_written_is_waited_for_until_it_is_still(empty: Workspace) -> None:
    workspace = replace(empty, settle_seconds=0.2)
    path, stop = empty.input_folder / "a.csv", threading.Event()

    def write_slowly() -> None:
        with path.open("ab", buffering=0) as stream:
            while not stop.wait(0.01):
                stream.write(b"a,b\n")

    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        while not path.exists():
            time.sleep(0.01)
        lying = look(workspace, unknown)
    finally:
        stop.set()
        writer.join()
    assert lying.deferred == ("a.csv: left for the next time, it is still being written",)
    assert names(look(workspace, unknown)) == ["a.csv"]
