"""Workspaces with a deployed model, built once through the library, and an ear for what the interpreter does."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from holdfast.steps.deployment import deploy
from holdfast.steps.ingestion import ingest
from holdfast.steps.initialisation import init_empty
from holdfast.steps.scoring import score
from holdfast.steps.training import train
from holdfast.web import create_app
from holdfast.workspace import Workspace

Events = list[tuple[str, tuple[Any, ...]]]

HEARD = {"open", "pickle.find_class", "socket.connect", "subprocess.Popen", "os.system"}
HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"


def write_clients(path: Path, seed: int, rows: int = 200) -> None:
    """Clients whose risk of exit falls with last month's activity; the seed is part of their ids."""
    random = np.random.default_rng(seed)
    month = random.integers(0, 200, rows)
    year = month * 12 + random.integers(0, 100, rows)
    employees = random.integers(1, 500, rows)
    exited = random.random(rows) < 1 / (1 + np.exp(0.04 * (month - 60)))
    columns = zip(month.tolist(), year.tolist(), employees.tolist(), exited.astype(int).tolist(), strict=True)
    lines = [f"c{seed}-{i:04d},{m},{y},{e},{x}" for i, (m, y, e, x) in enumerate(columns)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")


def deploy_anew(workspace: Workspace) -> str:
    """Take in what is new, train on it and deploy: the release's id."""
    for step in (ingest, train, score):
        step(workspace)
    return deploy(workspace).id


@pytest.fixture(scope="session")
def deployed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace's folder with one release. Only read from it."""
    root = tmp_path_factory.mktemp("deployed") / "company"
    init_empty(root)
    write_clients(root / "practicedata" / "dataset1.csv", seed=1)
    write_clients(root / "testdata" / "testdata.csv", seed=2, rows=120)
    deploy_anew(Workspace.open(root))
    return root


@pytest.fixture(scope="session")
def workspace(deployed_folder: Path) -> Workspace:
    """A workspace with one release. Only read from it."""
    return Workspace.open(deployed_folder)


@pytest.fixture(scope="session")
def client(workspace: Workspace) -> FlaskClient:
    """The API of the shared workspace."""
    return create_app(workspace).test_client()


@pytest.fixture
def own(deployed_folder: Path, tmp_path: Path) -> Workspace:
    """A copy of the shared workspace that a test may change."""
    return Workspace.open(shutil.copytree(deployed_folder, tmp_path / "company", symlinks=True))


@pytest.fixture
def two_releases(own: Workspace) -> tuple[Workspace, str, str]:
    """A workspace that has seen two releases of different models, and their ids; the second is in production."""
    first = (own.deployment_folder / "current").readlink().name
    write_clients(own.input_folder / "dataset2.csv", seed=3)
    return own, first, deploy_anew(own)


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has happened yet."""
    init_empty(tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture(scope="session")
def listen() -> Callable[[], AbstractContextManager[Events]]:
    """`with listen() as events:` hears the interpreter's audit events of the block.

    An audit hook cannot be removed: there is one for the whole session, deaf unless it listens.
    """
    heard: list[Events] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if heard and event in HEARD:
            heard[-1].append((event, arguments))

    @contextmanager
    def listening() -> Iterator[Events]:
        heard.append([])
        try:
            yield heard[-1]
        finally:
            heard.clear()

    sys.addaudithook(hear)
    return listening
