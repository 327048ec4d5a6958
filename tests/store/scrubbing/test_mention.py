"""An id in another encoding than UTF-8 is found, as a word of its own."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.store.scrubbing import mention, mentions
from holdfast.store.scrubbing.mention import ENCODINGS, Mention

CLIENT = "Müller & Söhne"
TEXT = f"Kunde;Umsatz\n{CLIENT};12\nÄhnlich;13\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_an_id_is_found_in_every_encoding_that_spreadsheets_save(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT.encode(encoding))
    assert mentions(path, CLIENT)
    assert not mentions(path, "Möller & Söhne")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("around", ["{}s;1", "x{};1", "{}-2;1", "é{};1", "{}ß;1", "_{};1"])
def test_in_every_encoding_a_part_of_a_longer_id_is_none(tmp_path: Path, encoding: str, around: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(f"Kunde\n{around.format(CLIENT)}\n".encode(encoding))
    assert not mentions(path, CLIENT)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_plain_id_is_found_in_wide_text_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    path.write_bytes("id;n\nc17;1\nc170;1\n".encode(encoding))
    assert mentions(path, "c17")
    assert mentions(path, "c170")
    assert not mentions(path, "c1")


def test_wide_text_is_found_wherever_it_begins_in_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for before in (b"\x89PNG\r\n\x1a\n\0\0\0", b"\x89PNG\r\n\x1a\n\0\0\0\0"):
        path.write_bytes(before + " acme ".encode("utf-16-le") + bytes(40))
        assert mentions(path, "acme")
        assert not mentions(path, "acm")


def packed_in(pack: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    if pack == "gzip":
        return gzip.compress(data)
    if pack == "zip":
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("kunden.csv", data)
    else:
        with tarfile.open(fileobj=sink, mode="w:gz") as tar:
            member = tarfile.TarInfo("kunden.csv")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


@pytest.mark.parametrize("pack", ["gzip", "zip", "tar"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_encodings_are_found_in_what_is_packed(tmp_path: Path, encoding: str, pack: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(packed_in(pack, TEXT.encode(encoding)))
    assert mentions(path, CLIENT)
    assert not mentions(path, "Möller & Söhne")


@given(
    st.sampled_from(["Zoë", "Müller", "Ö", "c17", "añb"]),
    st.sampled_from(ENCODINGS),
    st.text("abö ;\n", max_size=60),
    st.text("abö ;\n", max_size=60),
    st.sampled_from([1, 3, 16, 64]),
)
def test_wherever_the_borders_of_blocks_are_it_is_found_as_in_utf_8(
    client: str, encoding: str, before: str, after: str, block: int
) -> None:
    looked_for = Mention(client)
    text = before + client + after
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mention, "BLOCK", block)
        found = looked_for.in_stream(io.BytesIO(text.encode(encoding)), encodings=[encoding])
    if client.encode(encoding) == client.encode():  # looked for as UTF-8, in which a lone byte is no letter
        assert found >= looked_for.in_text(text)
    elif len(client) > 1 or encoding == "cp1252":  # one wide character is not looked for
        assert found == looked_for.in_text(text)


@pytest.mark.parametrize("client", ["null", "true", "56090", "1.5", "-12"])
def test_in_json_what_stands_out_of_strings_is_nobodys_id(client: str) -> None:
    looked_for = Mention(client)
    outside = (f'{{"rows": {client}}}', f"[{client}]", f'{{"a": {client}}}\n{{"b": {client}}}\n')
    inside = (f'{{"who": "{client}"}}', f'["client {client}, gone"]', f'{{"{client}": 1}}', f'{{"a": 1}}\n"{client}"\n')
    assert not any(looked_for.in_stream(io.BytesIO(text.encode()), json=True) for text in outside)
    assert all(looked_for.in_stream(io.BytesIO(text.encode()), json=True) for text in inside)


def test_json_that_cannot_be_parsed_is_searched_as_any_other_text() -> None:
    assert Mention("56090").in_stream(io.BytesIO(b'{"rows": 56090'), json=True)
