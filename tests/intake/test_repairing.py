"""New texts for refused rows: all are kept or none is, and whoever corrected them hears where they are still wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from holdfast.dataset import current_files
from holdfast.errors import UsageError
from holdfast.intake import repairing
from holdfast.intake.repairing import SHOWN_IDS, keep_repairs
from holdfast.records import QuarantineDone
from holdfast.session import Session, begin
from holdfast.sources.repaired import RowText
from holdfast.steps.ingestion import ingest
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]


@pytest.fixture(scope="module")
def company_with_refusals(
    make_company: Callable[[Path], Workspace], deliver: Deliver, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    workspace = make_company(tmp_path_factory.mktemp("built") / "company")
    for path in workspace.input_folder.iterdir():
        path.unlink()
    deliver(workspace.input_folder, "a.csv", ["good,1,1,1,0", *["x,x,x,x,x"] * 200])
    ingest(workspace)
    return workspace.root


@pytest.fixture
def workspace(company_with_refusals: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(company_with_refusals, tmp_path / "company")
    return Workspace.open(tmp_path / "company")


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    with begin(workspace, "repair") as session:
        yield session


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two rows: whatever holds for one batch has to hold across several."""
    monkeypatch.setattr(repairing, "BATCH_ROWS", 2)


def kept(session: Session, rows: Iterator[RowText] | Sequence[RowText]) -> QuarantineDone:
    return keep_repairs(session, current_files(session)[0], rows)


def good(line: int) -> RowText:
    return RowText(line, f"c{line},1,2,3,0")


def test_every_text_is_kept_with_its_line(session: Session) -> None:
    done = kept(session, [good(line) for line in (9, 3, 5, 4, 7)])
    assert (done.rows, done.ids) == (5, ("1:9", "1:3", "1:5", "1:4", "1:7"))
    assert session.ledger.repairs(1) == {line: good(line).text for line in (3, 4, 5, 7, 9)}


def test_of_many_rows_the_first_ids_are_told(session: Session) -> None:
    done = kept(session, (good(line) for line in range(3, 3 + SHOWN_IDS + 20)))
    assert (done.rows, len(done.ids)) == (SHOWN_IDS + 20, SHOWN_IDS)


def test_one_text_that_breaks_a_rule_keeps_all_out_and_the_others_like_it_are_counted(session: Session) -> None:
    broken = [RowText(5, "c5,x,2,3,0"), RowText(8, "c8,1,2"), RowText(9, '"c9,1,2,3,0')]
    with pytest.raises(UsageError) as caught:
        kept(session, [good(3), good(4), broken[0], good(6), good(7), *broken[1:]])
    assert caught.value.message == (
        "row 1:5 would still be refused: column lastmonth_activity: not a whole number; so would 2 other rows"
    )
    assert caught.value.hint == "its text would be: c5,x,2,3,0; nothing was changed"
    assert session.ledger.acts(1) == {}


def test_where_the_texts_break_off_none_is_kept(session: Session) -> None:
    def breaking_off() -> Iterator[RowText]:
        yield from map(good, range(3, 12))
        raise UsageError("the table ends here")

    with pytest.raises(UsageError, match="ends here"):
        kept(session, breaking_off())
    assert session.ledger.acts(1) == {}


def test_the_limits_of_the_workspace_hold_for_repaired_fields(workspace: Workspace) -> None:
    path = workspace.root / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"limits": {"field_characters": 32}}))
    with begin(Workspace.open(workspace.root), "repair") as session:
        assert kept(session, [RowText(3, "c" * 32 + ",1,2,3,0")]).rows == 1
        with pytest.raises(UsageError, match="column corporation: longer than 32 characters"):
            kept(session, [RowText(3, "c" * 33 + ",1,2,3,0")])
