"""Delivered files: what is taken up, what is left alone, and what is refused by its first look."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import FileRefused, InputOutputError, LocationRefused, NotPermitted
from holdfast.sources.files import (
    BLOCK,
    digest_of_delivery,
    list_folder,
    name_of,
    open_beneath,
    open_regular,
    read_block,
)

TABLE = b"corporation,exited\nacme,0\n"


@pytest.fixture
def nobody() -> Iterator[None]:
    """For the length of a test this process is a user whom nothing is permitted to."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become someone else")
    os.seteuid(65534)
    yield
    os.seteuid(0)


# ---- a folder


def test_the_files_of_a_folder_come_in_name_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.CSV", "c.Csv"):
        (tmp_path / name).write_bytes(TABLE)
    assert [path.name for path in list_folder(tmp_path).files] == ["a.CSV", "b.csv", "c.Csv"]


def test_hidden_files_are_not_even_mentioned(tmp_path: Path) -> None:
    (tmp_path / ".half-uploaded.csv").write_bytes(TABLE)
    assert list_folder(tmp_path) == list_folder(tmp_path / ".")
    assert not list_folder(tmp_path).files + list_folder(tmp_path).left_alone


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV.GZ", "a.parquet", "a.Parquet", "a.xlsx"])
def test_every_kind_of_table_can_be_a_delivery(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TABLE)
    assert [path.name for path in list_folder(tmp_path).files] == [name]


@pytest.mark.parametrize("name", ["notes.txt", "a.gz", "a.xls", "a.zip", "csv", "a.csv.part", "a.csv.crdownload"])
def test_what_is_no_table_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    assert list_folder(tmp_path).left_alone == ((name, "not a .csv, .csv.gz, .parquet, .xlsx file"),)


def test_a_link_is_left_alone_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(TABLE)
    (tmp_path / "inside.csv").symlink_to("real.csv")
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    listing = list_folder(tmp_path)
    assert [path.name for path in listing.files] == ["real.csv"]
    assert [name for name, why in listing.left_alone if "a link" in why] == ["dangling.csv", "inside.csv"]


def test_a_hard_link_is_a_file_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(TABLE)
    (tmp_path / "two.csv").hardlink_to(tmp_path / "one.csv")
    assert len(list_folder(tmp_path).files) == 2


def test_folders_pipes_and_sockets_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        listing = list_folder(tmp_path)
    assert not listing.files
    assert dict(listing.left_alone) == dict.fromkeys(("folder.csv", "pipe.csv", "socket.csv"), "not a regular file")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"new\nline.csv", r"new\nline.csv"),
        (b"new\\nline.csv", r"new\\nline.csv"),
        (b"\x1b[31mred.csv", r"\x1b[31mred.csv"),
        (b"latin\xe9.csv", r"latin\xe9.csv"),
        ("right\u202eto-left.csv".encode(), r"right\xe2\x80\xaeto-left.csv"),
        ("März 🦊 it's =1.csv".encode(), "März 🦊 it's =1.csv"),
    ],
)
def test_a_name_that_cannot_be_shown_is_no_reason_to_leave_a_file_alone_and_is_escaped(
    tmp_path: Path, name: bytes, shown: str
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(TABLE)
    listing = list_folder(tmp_path)
    assert (listing.files, listing.left_alone) == ((path,), ())
    assert name_of(path) == shown
    path.unlink()
    with pytest.raises(InputOutputError) as caught:
        open_regular(path)
    assert caught.value.file == shown


@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda name: not {0, 47} & set(name)), unique=True))
def test_no_two_files_have_one_recorded_name_and_each_gives_the_file_back(names: list[bytes]) -> None:
    names = [name for name in names if name not in {b".", b".."}]
    recorded = [name_of(Path(os.fsdecode(name))) for name in names]
    assert len(set(recorded)) == len(names)
    for name, text in zip(names, recorded, strict=True):
        text.encode()
        back = re.sub(
            rb"\\(n|r|t|\\|x[0-9a-f]{2})", lambda m: ESCAPES.get(m[1]) or bytes([int(m[1][1:], 16)]), text.encode()
        )
        assert back == name


ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}


@pytest.mark.parametrize("name", ["=cmd|'calc'!A1.csv", "März 2026.csv", "🦊.csv", "it's.csv", "x" * 251 + ".csv"])
def test_any_other_name_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TABLE)
    assert [path.name for path in list_folder(tmp_path).files] == [name]


def test_a_folder_that_is_not_there_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="cannot read: No such file"):
        list_folder(tmp_path / "nowhere")


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, nobody: None) -> None:
    with pytest.raises(NotPermitted) as caught:
        list_folder(tmp_path)
    assert caught.value.file == str(tmp_path)


# ---- one file


def test_a_regular_file_is_opened_at_its_start(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE)
    with open_regular(tmp_path / "a.csv") as stream:
        assert stream.read() == TABLE


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(TABLE)
    (tmp_path / "link.csv").symlink_to("real.csv")
    with pytest.raises(FileRefused, match="a link, not a file"):
        open_regular(tmp_path / "link.csv")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "odd.csv")
    with pytest.raises(FileRefused, match="not a regular file"):
        open_regular(tmp_path / "odd.csv")


def test_a_device_is_refused() -> None:
    with pytest.raises(FileRefused, match="not a regular file"):
        open_regular(Path("/dev/zero"))


def test_a_file_that_vanished_is_an_input_output_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match=r"a\.csv: cannot read: No such file"):
        digest_of_delivery(tmp_path / "a.csv")


def test_a_file_that_may_not_be_read_is_not_permitted(tmp_path: Path, nobody: None) -> None:
    with pytest.raises(NotPermitted, match=r"a\.csv: cannot read: Permission denied"):
        open_regular(tmp_path / "a.csv")


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_refusing_a_file_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = open_descriptors()
    for _ in range(5):
        with pytest.raises(FileRefused):
            open_regular(tmp_path)
        with pytest.raises(LocationRefused):
            open_beneath(tmp_path, PurePosixPath("a/b/c.csv"))
    assert open_descriptors() == before


class Failing(io.BytesIO):
    """A disk that gives out after the first read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_failing_disk_is_an_input_output_error() -> None:
    stream = Failing(TABLE)
    assert read_block(stream, "march.csv", 4) == TABLE[:4]
    with pytest.raises(InputOutputError, match="cannot read: Input/output error") as caught:
        read_block(stream, "march.csv", 4)
    assert (caught.value.file, caught.value.exit_status) == ("march.csv", 74)


def test_a_block_is_at_most_as_long_as_asked() -> None:
    assert read_block(io.BytesIO(b"abcdef"), "x", 4) == b"abcd"


# ---- beneath a root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "root"
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "deep" / "er" / "a.csv").write_bytes(TABLE)
    (tmp_path / "secret.csv").write_bytes(b"secret")
    return inside


def test_a_file_beneath_the_root_is_opened(root: Path) -> None:
    with open_beneath(root, PurePosixPath("deep/er/a.csv")) as stream:
        assert stream.read() == TABLE


@pytest.mark.parametrize("location", ["../secret.csv", "deep/../../secret.csv", "/etc/passwd", "deep/er/../er/a.csv"])
def test_a_location_that_goes_up_or_is_absolute_is_refused(root: Path, location: str) -> None:
    with pytest.raises(LocationRefused, match="relative and does not go up"):
        open_beneath(root, PurePosixPath(location))


@pytest.mark.parametrize(
    "location",
    ["", "deep", "deep/er/b.csv", "deep/er/a.csv/x", "nowhere/a.csv", "a\0b.csv", "x" * 300, "pipe", "\udc80"],
)
def test_a_location_without_a_regular_file_is_refused(root: Path, location: str) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(LocationRefused):
        open_beneath(root, PurePosixPath(location))


def test_no_link_on_the_way_is_followed(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    (root / "deep" / "link.csv").symlink_to("er/a.csv")
    for location in ("out/secret.csv", "deep/link.csv"):
        with pytest.raises(LocationRefused):
            open_beneath(root, PurePosixPath(location))


def test_a_root_that_is_not_there_is_a_refused_location(tmp_path: Path) -> None:
    with pytest.raises(LocationRefused):
        open_beneath(tmp_path / "nowhere", PurePosixPath("a.csv"))


# ---- the bytes


def test_the_digest_of_a_delivery_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = TABLE * (BLOCK // len(TABLE) + 2)
    (tmp_path / "a.csv").write_bytes(data)
    assert digest_of_delivery(tmp_path / "a.csv") == hashlib.sha256(data).hexdigest()


def test_a_misspelt_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "testdata.csv").write_text("a,b\n")
    with pytest.raises(InputOutputError, match=r"did you mean 'testdata\.csv'"):
        open_regular(tmp_path / "testdta.csv")
    with pytest.raises(LocationRefused, match=r"did you mean 'testdata\.csv'"):
        open_beneath(tmp_path, PurePosixPath("tesdata.csv"))
