"""model.json: one changed byte refuses it, and nothing that anyone writes into it does anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InputOutputError, ModelFileDamaged
from holdfast.records import GoldenRow, RiskModel
from holdfast.risk.linear import log_odds, probability
from holdfast.store.files import digest_of
from holdfast.store.modelfile import model_bytes, model_digest, parse_model, read_model


def model_of(coefficients: tuple[float, ...] = (-0.5, 0.25), intercept: float = 0.125) -> RiskModel:
    width = len(coefficients)
    bare = RiskModel(
        features=tuple(f"x{i}" for i in range(width)),
        intercept=intercept,
        coefficients=coefficients,
        typical=(1.0,) * width,
        golden=(),
        rows=10,
        exited=4,
        dataset_digest="d" * 64,
        schema_digest="5" * 64,
        pickle_digest="b" * 64,
        versions={"numpy": "2"},
    )
    given_p = float(probability(log_odds(bare, np.full((1, width), np.nan)))[0])
    return replace(bare, golden=(GoldenRow(values=(None,) * width, probability=given_p),))


MODEL = model_of()
DATA = model_bytes(MODEL)


def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(DATA)
    return content


def resealed(content: dict[str, Any]) -> bytes:
    """A document whose digest fits, as someone writes it who knows the format."""
    content["digest"] = digest_of(json.dumps(content["model"], sort_keys=True).encode())
    return (json.dumps(content, indent=1) + "\n").encode()


def test_a_model_comes_back_as_it_was() -> None:
    assert parse_model(DATA, "model.json") == MODEL


def test_the_file_names_the_digest_of_its_content() -> None:
    assert document()["digest"] == model_digest(MODEL)


def test_every_flipped_bit_is_refused() -> None:
    for place in range(len(DATA)):
        for bit in range(8):
            changed = bytearray(DATA)
            changed[place] ^= 1 << bit
            with pytest.raises(ModelFileDamaged):
                parse_model(bytes(changed), "model.json")


def test_a_file_cut_at_any_byte_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(ModelFileDamaged):
            parse_model(DATA[:length], "model.json")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b"[]",
        b"1",
        b'"model"',
        b"\xff\xfe",
        b"\x80\x04\x95",
        DATA + b" ",
        DATA + DATA,
        DATA.replace(b"0.125", b"1" + b"0" * 5000),
        DATA.replace(b"0.125", b"1" + b"0" * 400),
        DATA.replace(b"0.125", b"1e400"),
        DATA.replace(b"0.125", b"NaN"),
        DATA.replace(b"0.125", b"true"),
        DATA.replace(b"0.125", b'"0.125"'),
        DATA.replace(b'"version": 1', b'"version": 2'),
        DATA.replace(b'"version": 1', b'"version": [[1]]'),
        DATA.replace(b"holdfast-model", b"other-model"),
        DATA.replace(b'"rows": 10', b'"rows": 10, "rows": 10'),
    ],
)
def test_hostile_json_is_refused(data: bytes) -> None:
    with pytest.raises(ModelFileDamaged):
        parse_model(data, "model.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"coefficients": [1.0]},
        {"typical": [1.0, 1.0, 1.0]},
        {"typical": []},
        {"features": ["x0", "x1", "x2"]},
        {"coefficients": [1e308, 1e308], "typical": [1e308, -1e308]},
        {"coefficients": [1e308, 1e308], "typical": [10.0, 10.0]},
        {"golden": [{"values": [None], "probability": 0.5}]},
        {"coefficients": [10**400, 0.0]},
    ],
)
def test_a_well_sealed_file_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    content = document()
    content["model"] |= changes
    with pytest.raises(ModelFileDamaged):
        parse_model(resealed(content), "model.json")


def test_lists_of_different_lengths_are_refused_without_golden_rows_too() -> None:
    with pytest.raises(ModelFileDamaged):
        parse_model(model_bytes(replace(MODEL, golden=(), typical=(1.0,))), "model.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(document()["model"])), JSON)
def test_any_value_in_any_field_gives_a_model_or_the_one_error(field: str, value: object) -> None:
    content = document()
    content["model"][field] = value
    try:
        parsed = parse_model(resealed(content), "model.json")
    except ModelFileDamaged:
        return
    assert model_bytes(parsed) == resealed(content)


def test_a_golden_row_that_moved_is_refused() -> None:
    moved = replace(MODEL, golden=(replace(MODEL.golden[0], probability=MODEL.golden[0].probability + 1e-6),))
    with pytest.raises(ModelFileDamaged, match="golden row"):
        parse_model(model_bytes(moved), "model.json")


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6),
    st.lists(st.floats(-1e18, 1e18), min_size=6, max_size=6),
)
def test_rounding_alone_never_refuses_a_model(coefficients: list[float], values: list[float]) -> None:
    model = model_of(tuple(coefficients))
    row = np.array([values[: len(coefficients)]])
    golden = GoldenRow(values=tuple(row[0].tolist()), probability=float(probability(log_odds(model, row))[0]))
    assert parse_model(model_bytes(replace(model, golden=(golden,))), "model.json").golden == (golden,)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelFileDamaged, match="holdfast train"):
        read_model(tmp_path / "model.json")


def test_a_folder_in_its_place_is_a_known_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        read_model(tmp_path)
