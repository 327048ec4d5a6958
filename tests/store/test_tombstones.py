"""The keyed memory of erased clients."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import CannotWrite, ConfigurationError, HoldfastError, InputOutputError, NotPermitted
from holdfast.store.tombstones import SAMPLE, Tombstones, make_key, read_key

KEY = bytes(range(32))
IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def knowing(*clients: str, key: bytes = KEY) -> Tombstones:
    nobody = Tombstones(key, frozenset())
    return Tombstones(key, frozenset(nobody.tombstone_of(client) for client in clients))


# ---- tombstones


@given(IDS, st.binary(min_size=32, max_size=32))
def test_a_tombstone_is_the_keyed_blake2b_of_the_exact_bytes(client: str, key: bytes) -> None:
    expected = hashlib.blake2b(client.encode(), key=key, digest_size=16).hexdigest()
    assert Tombstones(key, frozenset()).tombstone_of(client) == expected


def test_another_key_gives_another_tombstone() -> None:
    assert knowing().tombstone_of("acme") != knowing(key=bytes(range(1, 33))).tombstone_of("acme")


def test_ids_that_look_alike_have_tombstones_of_their_own() -> None:
    alike = ["caf\u00e9", "cafe\u0301", "CAF\u00c9", "caf\u00e9 ", "0012", "12", ""]
    assert len({knowing().tombstone_of(client) for client in alike}) == len(alike)


@given(st.lists(st.none() | IDS, max_size=60), st.sets(IDS, max_size=5), st.integers(1, 400))
def test_the_mask_marks_exactly_the_erased_clients(clients: list[str | None], erased: set[str], times: int) -> None:
    rows = clients * times
    mask = knowing(*erased).mask(pa.array(rows, pa.string()))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [client in erased for client in rows]


@pytest.mark.parametrize("distinct", [50, SAMPLE * 3])
def test_rows_that_repeat_and_rows_that_do_not_are_masked_alike(distinct: int) -> None:
    rows = [f"c{i % distinct}" for i in range(SAMPLE * 3)]
    erased = {"c0", "c49", "c20000", "other"}
    assert knowing(*erased).mask(pa.array(rows)).tolist() == [client in erased for client in rows]


def test_a_slice_of_an_array_is_masked_by_its_own_rows() -> None:
    rows = pa.array(["a", "b", None, "c", "b"]).slice(1, 4)
    assert knowing("b").mask(rows).tolist() == [True, False, False, True]


def test_without_erased_clients_no_id_is_looked_at() -> None:
    class Unreadable:
        def __len__(self) -> int:
            return 3

    assert knowing().mask(Unreadable()).tolist() == [False] * 3


@pytest.mark.parametrize("wrong", ["", "ab", "z" * 32, "0" * 31, "0" * 34])
def test_what_is_not_a_tombstone_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        Tombstones(KEY, frozenset([wrong]))


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Tombstones(key, frozenset())


# ---- the key


def test_where_nothing_was_erased_there_is_no_key(tmp_path: Path) -> None:
    assert read_key(tmp_path / "state" / "erasures.key") is None


def test_a_key_is_made_once_and_then_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "erasures.key"
    made = make_key(path)
    assert len(made) == 32
    assert read_key(path) == made
    assert make_key(path) == made
    assert list(path.parent.iterdir()) == [path]


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    assert make_key(tmp_path / "one") != make_key(tmp_path / "two")


def test_only_its_owner_can_read_the_key_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        make_key(tmp_path / "key")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", [b"", b"half a key", bytes(32), bytes(range(33))])
def test_a_damaged_key_is_told_with_what_is_at_stake_and_never_replaced(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(damaged)
    for get in (read_key, make_key):
        with pytest.raises(InputOutputError) as caught:
            get(path)
        assert caught.value.file == str(path)
        assert "backup" in str(caught.value.hint)
        assert "brings the client back" in str(caught.value.hint)
    assert path.read_bytes() == damaged


def test_a_key_that_another_process_made_meanwhile_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, link = tmp_path / "key", os.link

    def overtaken(source: str, destination: Path) -> None:
        path.write_bytes(KEY)
        link(source, destination)

    monkeypatch.setattr(os, "link", overtaken)
    assert make_key(path) == KEY
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, CannotWrite), (errno.EIO, InputOutputError), (errno.EACCES, NotPermitted)]
)
def test_a_failing_disk_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[HoldfastError]
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(kind) as caught:
        make_key(tmp_path / "key")
    assert caught.value.file == str(tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_folder_in_the_place_of_the_key_is_a_known_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        read_key(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "link", "unlink"])
def test_a_kill_leaves_a_whole_key_or_none(tmp_path: Path, call: str) -> None:
    path = tmp_path / "key"
    child = os.fork()
    if child == 0:
        setattr(os, call, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        make_key(path)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = read_key(path)
    assert (left is None) == (call != "unlink")
    assert make_key(path) == (left or read_key(path))
