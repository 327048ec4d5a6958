"""A small company with every kind of row comes to the same files, byte for byte."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXPECTED = sorted(path.name for path in (HERE / "expected").iterdir())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("regenerate", HERE / "regenerate.py")
    assert spec
    assert spec.loader
    regenerate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(regenerate)
    files: dict[str, str] = regenerate.live_through(tmp_path_factory.mktemp("company"))
    return files


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_file_has_not_moved(name: str, made: dict[str, str]) -> None:
    assert made[name] == (HERE / "expected" / name).read_bytes().decode(), "meant? python tests/golden/regenerate.py"


def test_every_file_that_is_made_has_a_golden_one(made: dict[str, str]) -> None:
    assert sorted(made) == EXPECTED
