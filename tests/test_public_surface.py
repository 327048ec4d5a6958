"""What `import holdfast` gives, and what it does not do."""

from __future__ import annotations

import subprocess
import sys

import pytest

import holdfast

NAMES = [
    "HoldfastError",
    "Workspace",
    "assess",
    "call",
    "deploy",
    "diagnose",
    "ingest",
    "predict",
    "report",
    "run",
    "score",
    "status",
    "summarise",
    "train",
]


def test_the_public_names_are_these() -> None:
    assert holdfast.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert callable(getattr(holdfast, name))
    assert name in dir(holdfast)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ingset'"):
        _ = holdfast.ingset


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


HEAVY = {"numpy", "pandas", "sklearn", "duckdb", "pyarrow", "sqlalchemy", "matplotlib", "flask", "rich", "click"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import holdfast") & HEAVY


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    started = loaded_after("import holdfast.frontdoor, holdfast.cli.steps, holdfast.steps.process")
    assert not started & (HEAVY - {"click"})
