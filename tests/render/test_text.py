"""What a terminal shows: whom to call, why, and what went wrong, whatever the width."""

from __future__ import annotations

import pytest

from holdfast.records import Assessment, ClientRisk, Dataset, IngestRecord, SourceFile
from holdfast.render.text import print_record

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


def test_a_refused_file_is_shown_with_its_line_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"message": "an open quote", "row": 7, "hint": "close it"}
    refused = SourceFile(
        number=1, name="x.csv", folder="sourcedata", digest="0", size=1, received="now", status="refused", error=error
    )
    data = Dataset(source="sourcedata", digest="d", rows=0, exited=0, unlabelled=0, files=())
    record = IngestRecord(
        dataset=data,
        files=(refused,),
        known=0,
        rows=0,
        accepted=0,
        duplicate=0,
        quarantined=0,
        refused=1,
        rejected=(),
        notices=(),
        seconds=0.1,
    )
    print_record(record)
    assert "refused: x.csv line 7: an open quote. Hint: close it" in capsys.readouterr().out
