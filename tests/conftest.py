"""A small company to test with: three hundred generated clients to learn from, one hundred and fifty to score on."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from holdfast.session import utc_now
from holdfast.sources import readers
from holdfast.sources.readers import Child
from holdfast.steps import process
from holdfast.steps.ingestion import ingest
from holdfast.steps.initialisation import init_empty
from holdfast.steps.scoring import score
from holdfast.steps.training import train
from holdfast.workspace import CONFIG_NAME, Workspace

# How long an example takes says how busy the machine is, not whether the law holds.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

pytest_plugins = ("real_databases",)

HEADER = "corporation,lastmonth_activity,lastyear_activity,number_of_employees,exited"
NO_API = 1
"""A port at which nothing answers."""


def generated_clients(count: int, seed: int, *, moved: bool = False) -> list[str]:
    """Lines of the brief's table. Little activity means exit; once the world has `moved`, much activity does."""
    random = np.random.default_rng(seed)
    month = random.integers(0, 500, count)
    year = 10 * month + random.integers(0, 500, count)
    employees = random.integers(1, 1000, count)
    odds = (3 - 0.015 * month) * (-1 if moved else 1)
    exited = random.random(count) < 1 / (1 + np.exp(-odds))
    columns = (month.tolist(), year.tolist(), employees.tolist(), exited.astype(int).tolist())
    return [f"c{seed}-{i},{a},{b},{c},{d}" for i, (a, b, c, d) in enumerate(zip(*columns, strict=True))]


def write_delivery(folder: Path, name: str, lines: Sequence[str]) -> Path:
    """A CSV file of the brief's table in `folder`."""
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in (HEADER, *lines)))
    return path


def company_in(folder: Path) -> Workspace:
    init_empty(folder)
    impatient = {"settle_seconds": 0, "unfinished_seconds": 0}  # what tests deliver is whole
    config = json.loads((folder / CONFIG_NAME).read_text()) | {"port": NO_API} | impatient
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    write_delivery(folder / "practicedata", "dataset1.csv", generated_clients(150, 1))
    write_delivery(folder / "practicedata", "dataset2.csv", generated_clients(150, 2))
    write_delivery(folder / "testdata", "testdata.csv", generated_clients(150, 3))
    # An answer of the package index that is good for a day: no test asks a real one.
    check = {"checked": utc_now(), "reachable": False, "message": "not asked", "examined": 0, "outdated": []}
    state = folder / ".holdfast"
    state.mkdir()
    (state / "packages.json").write_text(json.dumps(check))
    return Workspace.open(folder)


@pytest.fixture(autouse=True)
def undurable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test loses power, so none waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class KeptChild(Child):
    """A reading process that is not ended after each use: starting one takes a quarter of a second."""

    idle: ClassVar[list[KeptChild]] = []
    kept: ClassVar[bool] = True

    def end(self) -> None:
        if self.kept and self.alive and self.at_rest and self.running:
            self.idle.extend([self] if self not in self.idle else [])
        else:
            super().end()


@pytest.fixture(scope="session")
def kept_children() -> Iterator[list[KeptChild]]:
    yield KeptChild.idle
    KeptChild.kept = False
    for child in KeptChild.idle:
        child.end()


@pytest.fixture(autouse=True)
def kept_readers(monkeypatch: pytest.MonkeyPatch, kept_children: list[KeptChild]) -> None:
    monkeypatch.setattr(readers, "Child", lambda: kept_children.pop() if kept_children else KeptChild())


class OverridingModes:
    """The superuser's right to read and write whatever the modes of files say, for this thread (capabilities(7))."""

    VERSION = 0x20080522
    RIGHTS = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH

    def __init__(self) -> None:
        self._system = ctypes.CDLL(None, use_errno=True)
        self._header = (ctypes.c_uint32 * 2)(self.VERSION, 0)

    def give_up(self) -> None:
        """From now on modes count."""
        self._set(lambda permitted: permitted & ~self.RIGHTS)

    def take_back(self) -> None:
        """As it was before."""
        self._set(lambda permitted: permitted)

    def _set(self, effective: Callable[[int], int]) -> None:
        sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and their upper halves
        if self._system.capget(self._header, sets):
            raise OSError(ctypes.get_errno(), "capget")
        sets[0] = effective(sets[1])
        if self._system.capset(self._header, sets):
            raise OSError(ctypes.get_errno(), "capset")


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """`read_only(folder)`: until the test ends nobody may write in it, not even the superuser who runs the tests."""
    with ExitStack() as stack:

        def protect(folder: Path) -> None:
            paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
            for path in paths:
                stack.callback(path.chmod, path.stat().st_mode)
                path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
            if os.geteuid() == 0:
                rights = OverridingModes()
                stack.callback(rights.take_back)
                rights.give_up()

        yield protect


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have told how wide the terminal is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def clients() -> Callable[..., list[str]]:
    """`clients(count, seed, moved=False)`: lines of the brief's table."""
    return generated_clients


@pytest.fixture(scope="session")
def deliver() -> Callable[..., Path]:
    """`deliver(folder, name, lines)`: write a CSV file of the brief's table."""
    return write_delivery


@pytest.fixture(scope="session")
def make_company(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Workspace]:
    """`make_company(folder)`: what the fixture `company` gives, as often as a test needs it."""
    untouched = tmp_path_factory.mktemp("built") / "company"
    company_in(untouched)

    def copied_to(folder: Path) -> Workspace:
        shutil.copytree(untouched, folder)
        return Workspace.open(folder)

    return copied_to


@pytest.fixture
def company(make_company: Callable[[Path], Workspace], tmp_path: Path) -> Workspace:
    """A workspace with two deliveries and test data, in which nothing has been run."""
    return make_company(tmp_path / "company")


@pytest.fixture(scope="session")
def company_that_ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "company"
    ingest(company_in(folder))
    return folder


@pytest.fixture
def ingested(company_that_ingested: Path, tmp_path: Path) -> Workspace:
    """A workspace that has taken its two deliveries in."""
    shutil.copytree(company_that_ingested, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture
def scored(company_that_scored: Path, tmp_path: Path) -> Workspace:
    """A workspace with a trained and scored model, and nothing deployed."""
    shutil.copytree(company_that_scored, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture(scope="session")
def company_that_scored(company_that_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "company"
    shutil.copytree(company_that_ingested, folder)
    train(Workspace.open(folder))
    score(Workspace.open(folder))
    return folder


@pytest.fixture(scope="session")
def company_that_ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "company"
    process.run(company_in(folder))
    return folder


@pytest.fixture
def running(company_that_ran: Path, tmp_path: Path) -> Workspace:
    """A workspace after its first full run: a model is deployed."""
    shutil.copytree(company_that_ran, tmp_path / "company", symlinks=True)
    return Workspace.open(tmp_path / "company")


@pytest.fixture
def one_class(company: Workspace) -> Workspace:
    """A workspace in which nobody exited."""
    for path in company.input_folder.iterdir():
        path.unlink()
    write_delivery(company.input_folder, "stayed.csv", [f"s{i},{i},{i},{i},0" for i in range(20)])
    return company
