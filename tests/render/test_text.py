"""What a terminal shows: whom to call, why, and what went wrong, whatever the width."""

from __future__ import annotations

import ast
import importlib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.frontdoor import COMMANDS
from holdfast.records import (
    Assessment,
    ClientRisk,
    Dataset,
    Decision,
    IngestRecord,
    Observation,
    RunRecord,
    SourceFile,
    Status,
)
from holdfast.render.text import LISTS, RENDERERS, print_record

FEATURES = tuple(f"a_rather_long_feature_name_{number}" for number in range(8))


def client(name: str, rank: int, probability: float = 0.5) -> ClientRisk:
    shares = tuple(float(number) for number in range(8))
    return ClientRisk(
        client=name, rank=rank, probability=probability, values=(None, *range(1, 8)), contributions=shares
    )


def assessment(*clients: ClientRisk) -> Assessment:
    return Assessment(
        release="0001-abc",
        model_digest="m",
        dataset_digest="d",
        created="2026-01-01T00:00:00Z",
        features=FEATURES,
        base=0.0,
        expected_exits=1.0,
        clients=clients,
        files=("models/assessment.csv",),
        notices=(),
        seconds=0.1,
    )


# ---- the list


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_list_names_every_client_whole_at_any_width(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_record(assessment(client("7590-VHVEG", 1), client("[bold]x", 2)))
    shown = capsys.readouterr().out
    assert "7590-VHVEG" in shown
    assert "[bold]x" in shown


def test_the_strongest_contribution_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(assessment(client("a", 1)))
    line = next(line for line in capsys.readouterr().out.splitlines() if "50.0%" in line)
    assert line.index(FEATURES[7]) < line.index(FEATURES[6])
    assert FEATURES[0] not in line


def test_what_is_not_certain_is_not_shown_as_certain(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(assessment(client("a", 1, 0.99999)))
    assert "100.0%" not in capsys.readouterr().out


def test_only_as_many_clients_are_shown_as_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(assessment(*(client(f"client{number}", number) for number in range(1, 6))), limit=2)
    shown = capsys.readouterr().out
    assert "client2" in shown
    assert "client3" not in shown


def test_no_line_ends_in_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(assessment(client("a", 1)))
    assert all(line == line.rstrip() for line in capsys.readouterr().out.splitlines())


# ---- every record


def printed_by(module: str) -> Iterator[type]:
    """The types of the records that the commands of a module print: what the functions return that they show."""
    code = importlib.import_module(module)
    for function in ast.walk(ast.parse(Path(code.__file__ or "").read_text())):
        if isinstance(function, ast.FunctionDef):
            called = dict(imported_in(function))
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "invocation.show":
                    for shown in alternatives(call.args[0]):
                        step = eval(ast.unparse(shown.func), vars(code) | called)
                        yield typing.get_type_hints(step)["return"]


def imported_in(function: ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = importlib.import_module(node.module)
                found = getattr(module, alias.name, None) or importlib.import_module(f"{node.module}.{alias.name}")
                yield alias.name, found


def alternatives(shown: ast.expr) -> list[ast.Call]:
    """The calls that an expression is one of."""
    if isinstance(shown, ast.IfExp):
        return alternatives(shown.body) + alternatives(shown.orelse)
    assert isinstance(shown, ast.Call), ast.unparse(shown)
    return [shown]


MODULES = sorted({place.split(":")[0] for place in COMMANDS.values()})


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("holdfast.cli.")])
def test_every_record_that_a_command_prints_can_be_shown(module: str) -> None:
    records = set(printed_by(module))
    assert records
    assert records <= RENDERERS.keys() | LISTS.keys()


# ---- the full process and the status


def decision() -> Decision:
    seen = Observation(
        source="sourcedata",
        new_files=(),
        refused_files=(),
        dataset_digest="d",
        dataset_rows=0,
        release=None,
        release_learned_from=None,
        deployed_f1=None,
        unseen_rows=0,
        unseen_exited=0,
        unseen_f1=None,
        unusable=None,
        decided_before=True,
        unfinished=False,
    )
    return Decision(action="nothing", policy="raw", reasons=("this data was decided on before",), observation=seen)


def run(taken: IngestRecord | None, *, dry_run: bool = False) -> RunRecord:
    done: dict[str, Any] = dict.fromkeys(["train", "score", "release", "diagnosis", "report", "call"])
    return RunRecord(dry_run=dry_run, decision=decision(), ingest=taken, notices=(), seconds=0.1, **done)


def delivery(number: int, folder: str = "sourcedata") -> SourceFile:
    return SourceFile(
        number=number, name="a.csv", folder=folder, digest="d", size=9, received="now", status="accepted", rows=7
    )


DATASET = Dataset(source="sourcedata", digest="d", version=3, rows=1000, exited=2, unlabelled=0, deliveries=5)


def taken(*files: SourceFile, **changed: Any) -> IngestRecord:
    counts = dict.fromkeys(["known", "rows", "accepted", "duplicate", "quarantined", "erased", "refused"], 0)
    lists: dict[str, Any] = dict.fromkeys(["rejected", "deferred", "unreachable", "notices"], ())
    return IngestRecord(dataset=DATASET, files=files, seconds=0.1, **(counts | lists | changed))


UNREACHABLE = {"file": "crm", "message": "the database does not answer", "hint": "check that it runs"}


def test_a_run_with_nothing_new_says_so_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(run(taken()))
    assert capsys.readouterr().out == "decision: nothing\n  - this data was decided on before\n"


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_with_nothing_new_still_names_the_source_that_did_not_answer(
    dry_run: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_record(run(taken(unreachable=(UNREACHABLE,)), dry_run=dry_run))
    assert "not read: crm: the database does not answer" in capsys.readouterr().out


def test_a_run_shows_what_it_took_in(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(run(taken(delivery(1))))
    assert "sourcedata: 1 new file, 0 known already" in capsys.readouterr().out


def test_a_rehearsal_does_not_show_deliveries_as_taken_in(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(run(taken(delivery(1)), dry_run=True))
    assert "new file" not in capsys.readouterr().out


def status(*deliveries: SourceFile) -> Status:
    nothing: dict[str, Any] = dict.fromkeys(["release", "scorecard", "decision", "assessed"])
    return Status(
        workspace="/srv/acme",
        source="sourcedata",
        dataset=DATASET,
        waiting_files=(),
        deliveries=deliveries,
        runs=(),
        next=("holdfast run trains the first model",),
        **nothing,
    )


def test_the_status_says_how_large_the_dataset_is_and_what_it_is_made_of(capsys: pytest.CaptureFixture[str]) -> None:
    print_record(status(delivery(1)))
    assert "dataset: 1,000 rows, 2 exited, version 3, from 5 deliveries" in capsys.readouterr().out


@pytest.mark.parametrize(("folders", "named"), [(("sourcedata",) * 2, False), (("sourcedata", "crm"), True)])
def test_the_status_names_the_sources_of_deliveries_when_there_are_several(
    folders: tuple[str, ...], named: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_record(status(*(delivery(number, folder) for number, folder in enumerate(folders, 1))))
    heading = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("delivery"))
    assert ("source" in heading) is named
