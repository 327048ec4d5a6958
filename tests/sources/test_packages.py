"""Outdated packages: what Holdfast depends on, as pip's index tells, and never silence in place of an answer."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.records import PackageCheck
from holdfast.sources import packages
from holdfast.sources.packages import NO_INDEX, check_packages, dependencies

NOW = "2026-01-31T00:00:00Z"


class Pip:
    """Stands in for pip: answers by the first word of the command, and remembers how it was asked."""

    def __init__(self, **answers: str | int | Exception) -> None:
        self.answers = {"index": "pip (26.0)\n", "list": "[]"} | answers
        self.asked: list[list[str]] = []

    def __call__(self, command: Sequence[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(list(command))
        answer = next(self.answers[word] for word in command if word in self.answers)
        if isinstance(answer, Exception):
            raise answer
        failed = isinstance(answer, int)
        return subprocess.CompletedProcess(command, answer if failed else 0, "" if failed else str(answer), "")  # type: ignore[arg-type]


def asked(monkeypatch: pytest.MonkeyPatch, pip: Pip) -> PackageCheck:
    monkeypatch.setattr(subprocess, "run", pip)
    return check_packages(NOW)


def entry(name: str, latest: str = "99.0") -> dict[str, str]:
    return {"name": name, "version": "1.0", "latest_version": latest, "latest_filetype": "wheel"}


# ---- what Holdfast depends on


def test_dependencies_are_followed_to_their_end() -> None:
    names = dependencies()
    assert {"numpy", "scikit-learn", "joblib", "python-dateutil"} <= names
    assert "holdfast" not in names
    assert "pytest" not in names


def test_every_dependency_is_installed_here() -> None:
    for name in dependencies():
        assert importlib.metadata.version(name)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four packages that need each other in a circle, an extra and one for another system."""
    needs = {
        "holdfast": ["Alpha_One>=1"],
        "alpha-one": ["beta.two", "gamma; extra == 'fast'", "delta; sys_platform == 'nowhere'"],
        "beta-two": ["alpha-one", "missing-one"],
    }

    def requires(name: str) -> list[str]:
        if name not in needs:
            raise importlib.metadata.PackageNotFoundError(name)
        return needs[name]

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name] * (name in needs))


def test_names_are_plain_circles_end_and_extras_and_other_systems_do_not_count(made_up: None) -> None:
    assert dependencies() == {"alpha-one", "beta-two"}


def test_an_unknown_package_depends_on_nothing(made_up: None) -> None:
    assert dependencies("nobody-knows-it") == frozenset()


# ---- what pip answers


def test_nothing_outdated_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    check = asked(monkeypatch, Pip())
    assert (check.reachable, check.outdated, check.checked) == (True, (), NOW)
    assert check.message == f"0 of {check.examined} packages have a newer version"


def test_outdated_dependencies_come_in_name_order(monkeypatch: pytest.MonkeyPatch) -> None:
    check = asked(monkeypatch, Pip(list=json.dumps([entry("scikit_learn"), entry("Flask"), entry("numpy", "3.0")])))
    assert [each.package for each in check.outdated] == ["Flask", "numpy", "scikit_learn"]
    assert (check.outdated[1].version, check.outdated[1].latest, check.outdated[1].type) == ("1.0", "3.0", "wheel")
    assert check.message == f"3 of {check.examined} packages have a newer version"


def test_packages_that_holdfast_does_not_need_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip(list=json.dumps([entry("somebody-elses")]))
    assert asked(monkeypatch, pip).outdated == ()
    excluded = [name for mark, name in zip(pip.asked[-1], pip.asked[-1][1:], strict=False) if mark == "--exclude"]
    assert "pytest" in excluded
    assert not set(excluded) & dependencies()


@pytest.mark.parametrize("failing", ["index", "list"])
@pytest.mark.parametrize("answer", [1, 2, subprocess.TimeoutExpired("pip", 90)])
def test_an_index_that_does_not_answer_is_no_empty_list(
    monkeypatch: pytest.MonkeyPatch, failing: str, answer: int | Exception
) -> None:
    check = asked(monkeypatch, Pip(**{failing: answer}))
    assert (check.reachable, check.message, check.outdated) == (False, NO_INDEX, ())
    assert check.examined == len(dependencies())


def test_pip_is_asked_by_this_interpreter_without_waiting_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Pip()
    asked(monkeypatch, pip)
    for command in pip.asked:
        assert command[:3] == [sys.executable, "-m", "pip"]
        assert {"--no-input", "--disable-pip-version-check"} <= set(command)


def test_pip_itself_is_there() -> None:
    assert subprocess.run([*packages.PIP, "--version"], capture_output=True, check=False).returncode == 0
