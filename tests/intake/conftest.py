"""A workspace in which nothing lies yet, and one reading process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.sources import readers
from holdfast.sources.readers import Child
from holdfast.workspace import Workspace


@pytest.fixture
def empty(make_company: Callable[[Path], Workspace], tmp_path: Path) -> Workspace:
    """A workspace without deliveries."""
    workspace = make_company(tmp_path / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    return workspace


@pytest.fixture
def child() -> Iterator[Child]:
    """A reading process."""
    child: Child = readers.Child()  # one that is kept between tests
    yield child
    child.end()
