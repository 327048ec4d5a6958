"""The report: two files about the model in production, or about the trained one before there is any."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import ModelFileDamaged, NoUsableData
from holdfast.session import reading
from holdfast.steps.reporting import report
from holdfast.store.releases import current_id
from holdfast.workspace import Workspace

Deliver = Callable[..., Path]
PNG = b"\x89PNG\r\n\x1a\n"


def page_of(workspace: Workspace) -> str:
    return (workspace.model_folder / "report.html").read_text()


def test_the_report_of_a_run_is_a_picture_and_a_page_about_the_release(running: Workspace) -> None:
    assert (running.model_folder / "confusionmatrix.png").read_bytes().startswith(PNG)
    release = current_id(running.deployment_folder)
    assert release is not None
    assert release in page_of(running)


def test_the_page_needs_nothing_from_elsewhere_and_is_small(running: Workspace) -> None:
    page = page_of(running)
    assert len(page.encode()) < 1_000_000
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "<script" not in page


def test_before_the_first_release_the_report_is_about_the_trained_model(scored: Workspace) -> None:
    record = report(scored)
    assert record.size == len(page_of(scored).encode())
    assert record.report == "practicemodels/report.html"
    with reading(scored) as (ledger, _):
        assert len(ledger.seconds_of("report")) == 1


def test_without_labelled_test_rows_there_is_no_report_and_the_old_one_stays(
    running: Workspace, deliver: Deliver
) -> None:
    before = page_of(running)
    deliver(running.test_folder, "testdata.csv", ["u,1,2,3,"])
    with pytest.raises(NoUsableData):
        report(running)
    assert page_of(running) == before


def test_without_any_model_there_is_no_report(ingested: Workspace) -> None:
    with pytest.raises(ModelFileDamaged):
        report(ingested)


def test_hostile_client_and_file_names_do_nothing_on_the_page(scored: Workspace, deliver: Deliver) -> None:
    name = "<script>alert(1)<!--.csv"
    deliver(scored.test_folder, name, ['"<img src=x onerror=alert(1)>",1,2,3,0'])
    report(scored)
    assert "<script>alert" not in page_of(scored)
    assert "<img src=x" not in page_of(scored)
