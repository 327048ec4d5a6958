"""Labelled clients to judge models on: from the test files, or held out of the data by a hash of their id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import evaluation
from holdfast.errors import ConfigurationError, FileRefused, NoUsableData
from holdfast.evaluation import holdout_mask, judge, prepare_to_read_test_data, read_test_data, scorecard
from holdfast.limits import Limits
from holdfast.risk.linear import log_odds
from holdfast.risk.rows import client_ids, feature_values
from holdfast.sources.readers import Readers
from holdfast.steps.scoring import trained_model
from holdfast.store.files import digest_of_file
from holdfast.workspace import Workspace

IDS = [f"client {number}" for number in range(20_000)]


def labelled_clients(workspace: Workspace) -> evaluation.TestData:
    with Readers(1) as readers:
        return read_test_data(workspace, readers)


def without_test_files(workspace: Workspace, holdout: float) -> Workspace:
    for path in workspace.test_folder.iterdir():
        path.unlink()
    return replace(workspace, holdout=holdout)


def test_nobody_is_held_out_unless_the_setting_says_so(company: Workspace) -> None:
    assert not holdout_mask(without_test_files(company, 0.0), IDS).any()


def test_nobody_is_held_out_while_there_are_test_files(company: Workspace) -> None:
    assert not holdout_mask(replace(company, holdout=0.5), IDS).any()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_about_the_share_asked_for_is_held_out(company: Workspace, share: float) -> None:
    held_out = holdout_mask(without_test_files(company, share), IDS).mean()
    assert abs(held_out - share) < 5 * np.sqrt(share * (1 - share) / len(IDS))


def test_a_larger_share_holds_out_the_same_clients_and_more(company: Workspace) -> None:
    fewer = holdout_mask(without_test_files(company, 0.1), IDS)
    more = holdout_mask(without_test_files(company, 0.3), IDS)
    assert (more | ~fewer).all()


@pytest.fixture(scope="module")
def holding_out(make_company: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return without_test_files(make_company(tmp_path_factory.mktemp("holdout") / "company"), 0.3)


@given(st.lists(st.text(st.characters()), min_size=1), st.randoms())
def test_a_client_is_held_out_or_not_whatever_stands_around_it(
    holding_out: Workspace, ids: list[str], random: object
) -> None:
    mask = dict(zip(ids, holdout_mask(holding_out, ids), strict=True))
    assert holdout_mask(holding_out, ids[::-1] + IDS[:3])[: len(ids)].tolist() == [mask[name] for name in ids[::-1]]


def test_test_data_is_all_files_of_the_test_folder(
    company: Workspace, deliver: Callable[..., Path], clients: Callable[..., list[str]]
) -> None:
    deliver(company.test_folder, "more.csv", clients(10, 12))
    test = labelled_clients(company)
    assert (test.table.rows.num_rows, test.held_out) == (160, False)
    assert test.description == "testdata: more.csv, testdata.csv"


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "xlsx"])
def test_test_data_may_be_of_any_kind_that_deliveries_are(company: Workspace, kind: str) -> None:
    path = company.test_folder / "testdata.csv"
    frame, expected = pd.read_csv(path), labelled_clients(company).table.rows
    path.unlink()
    if kind == "csv.gz":
        frame.to_csv(company.test_folder / "testdata.csv.gz", index=False)
    elif kind == "parquet":
        frame.to_parquet(company.test_folder / "testdata.parquet")
    else:
        frame.to_excel(company.test_folder / "testdata.xlsx", index=False)
    assert labelled_clients(company).table.rows == expected


def test_test_data_is_read_within_the_limits_and_by_another_process(company: Workspace) -> None:
    with pytest.raises(FileRefused, match="5 columns; at most 4 are read"):
        labelled_clients(replace(company, limits=Limits(columns=4)))
    with pytest.raises(FileRefused, match="more than 1,000 bytes of memory"):
        labelled_clients(replace(company, limits=Limits(memory_bytes=1_000)))


def test_a_process_is_made_ready_for_test_files_and_for_nothing_else(company: Workspace) -> None:
    with Readers(1) as readers:
        prepare_to_read_test_data(company, readers)
        assert len(readers._children) == 1
    with Readers(1) as readers:
        prepare_to_read_test_data(without_test_files(company, 0.3), readers)
        assert not readers._children


def test_held_out_test_data_is_the_held_out_rows_of_the_dataset(ingested: Workspace) -> None:
    workspace = without_test_files(ingested, 0.3)
    test = labelled_clients(workspace)
    ids = client_ids(test.table.rows, workspace.schema)
    assert test.held_out
    assert 0 < len(ids) < 300
    assert holdout_mask(workspace, ids).all()
    assert test.table.digest == digest_of_file(workspace.output_folder / "finaldata.csv")


def test_without_files_and_without_a_hold_out_there_is_no_test_data(company: Workspace) -> None:
    with pytest.raises(NoUsableData, match="no CSV file to score on"):
        labelled_clients(without_test_files(company, 0.0))


def test_without_files_and_without_a_dataset_there_is_no_test_data(company: Workspace) -> None:
    with pytest.raises(NoUsableData, match="holdfast ingest"):
        labelled_clients(without_test_files(company, 0.3))


def test_a_missing_test_folder_is_a_configuration_error(company: Workspace) -> None:
    with pytest.raises(ConfigurationError):
        labelled_clients(replace(company, test_folder=company.root / "nowhere", holdout=0.3))


def test_a_model_is_judged_on_the_labelled_rows_only(scored: Workspace, deliver: Callable[..., Path]) -> None:
    deliver(scored.test_folder, "testdata.csv", ["a,1,2,3,1", "u,9,9,9,", "b,400,4000,5,0"])
    model, test = trained_model(scored), labelled_clients(scored)
    judgement = judge(model, test.table.rows, scored)
    assert judgement.exited.tolist() == [1, 0]
    expected = log_odds(model, feature_values(test.table.rows, scored.schema)[[0, 2]])
    assert judgement.log_odds.tolist() == expected.tolist()
    assert judgement.curves.rows == 2


def test_a_scorecard_predicts_exit_where_the_odds_are_above_even(scored: Workspace) -> None:
    model, test = trained_model(scored), labelled_clients(scored)
    judgement = judge(model, test.table.rows, scored)
    card = scorecard(model, judgement, scored, "somewhere", "digest")
    predicted = card.confusion.stayed_predicted_exited + card.confusion.exited_predicted_exited
    assert predicted == int((judgement.log_odds > 0).sum())
    assert (card.rows, card.data, card.data_digest, card.capacity) == (150, "somewhere", "digest", 100)
    assert all(metric.value is None or np.isfinite(metric.value) for metric in card.metrics.values())
