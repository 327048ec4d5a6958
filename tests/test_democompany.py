"""The demo company: its files, its ground truth, and the story that it has to tell."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score

from holdfast import democompany
from holdfast.democompany import DemoOptions, write_demo
from holdfast.errors import CannotWrite, UsageError
from holdfast.risk.democompany import REGIONS, SEGMENTS, client_codes, code_width

PERIODS = ("practicedata", "sourcedata")
FEATURES = ["lastmonth_activity", "lastyear_activity", "number_of_employees"]
HEADER = ["corporation", *FEATURES, "exited"]
EXTENSION = ["region", "segment", "contract_value", "tenure_months", "snapshot_date"]
Tables = dict[str, pd.DataFrame]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype={"corporation": "str"})


def read_folder(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("dataset*.csv"), key=lambda path: int(path.stem.removeprefix("dataset")))
    return pd.concat([read(path) for path in files], ignore_index=True)


@cache
def company(*, rows: int = 10_000, files: int = 2, seed: int = 1, extended: bool = False) -> Tables:
    """Each folder's distinct rows, with the true probabilities; the test data under `testdata`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        options = DemoOptions(rows=rows, files=files, seed=seed, extended=extended, truth=True)
        write_demo(folder, options)
        tables = {period: read_folder(folder / period) for period in PERIODS}
        tables["testdata"] = read(folder / "testdata/testdata.csv")
        truths = {period: read_folder(folder / "truth" / period) for period in PERIODS}
        truths["testdata"] = read(folder / "truth/testdata/testdata.csv")
    for name, table in tables.items():
        assert truths[name]["corporation"].equals(table["corporation"])
        table["probability"] = truths[name]["probability"]
    return {name: table.drop_duplicates(ignore_index=True) for name, table in tables.items()}


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(democompany, "_CHUNK_ROWS", 300)
    company.cache_clear()
    yield
    company.cache_clear()


# ---- the files


def test_the_files_have_the_names_and_columns_of_the_brief(tmp_path: Path) -> None:
    record = write_demo(tmp_path, DemoOptions(rows=200))
    assert sorted(record.files) == [
        "practicedata/dataset1.csv",
        "practicedata/dataset2.csv",
        "sourcedata/dataset3.csv",
        "sourcedata/dataset4.csv",
        "testdata/testdata.csv",
    ]
    assert sorted(all_bytes(tmp_path)) == sorted(record.files)
    assert all(list(read(tmp_path / name).columns) == HEADER for name in record.files)


def test_the_record_tells_the_rows_and_the_share_of_exits_of_each_file(tmp_path: Path) -> None:
    record = write_demo(tmp_path, DemoOptions(rows=1000, files=3))
    for name, rows in record.files.items():
        table = read(tmp_path / name)
        assert len(table) == rows
        assert table["exited"].mean() == pytest.approx(record.exited[name])


def test_progress_adds_up_to_the_total(tmp_path: Path, small_chunks: None) -> None:
    options = DemoOptions(rows=1000, files=3)
    seen: list[tuple[int, int | None]] = []
    record = write_demo(tmp_path, options, lambda _what, done, total: seen.append((done, total)))
    rows = sum(record.files.values())
    assert seen[-1] == (rows, rows) == (options.total_rows, options.total_rows)
    assert seen == sorted(seen)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_demo(tmp_path / name, DemoOptions(rows=500, extended=True, truth=True))
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_another_seed_gives_other_clients_with_other_ids(tmp_path: Path) -> None:
    one, two = (company(rows=500, seed=seed)["practicedata"] for seed in (1, 2))
    assert not one[FEATURES].equals(two[FEATURES])
    assert len(set(one["corporation"]) & set(two["corporation"])) < 50


@pytest.mark.parametrize("files", [1, 3, 7, 50])
def test_the_clients_are_the_same_however_many_files_there_are(files: int, small_chunks: None) -> None:
    many, two = company(rows=1000, files=files), company(rows=1000, files=2)
    for name, table in two.items():
        pd.testing.assert_frame_equal(many[name], table)


def test_truth_and_extended_columns_do_not_change_the_plain_practice_features() -> None:
    plain, extended = company(rows=1000)["practicedata"], company(rows=1000, extended=True)["practicedata"]
    pd.testing.assert_frame_equal(plain[HEADER[:-1]], extended[HEADER[:-1]])


@pytest.mark.parametrize("rows", [299, 300, 301, 601])
def test_a_period_that_ends_beside_a_chunk_border_has_all_its_clients(rows: int, small_chunks: None) -> None:
    tables = company(rows=rows)
    assert [len(tables[name]) for name in (*PERIODS, "testdata")] == [rows, rows, rows // 5]


def test_a_later_file_begins_with_the_last_rows_of_the_earlier_one(tmp_path: Path) -> None:
    write_demo(tmp_path, DemoOptions(rows=10_000))
    for first, second in ((1, 2), (3, 4)):
        folder = tmp_path / PERIODS[second // 3]
        earlier, later = ((folder / f"dataset{n}.csv").read_text().splitlines()[1:] for n in (first, second))
        assert len(set(earlier) & set(later)) == 25
        assert later[:25] == earlier[-25:]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(democompany, "_CHUNK_ROWS", 2000)

    def peak(rows: int) -> int:
        tracemalloc.start()
        write_demo(tmp_path / str(rows), DemoOptions(rows=rows))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2000)  # what is imported on the way is not counted
    assert peak(40_000) < 1.3 * peak(8000)


@pytest.mark.parametrize(
    "name", ["sourcedata/dataset4.csv", "testdata/testdata.csv", "truth/practicedata/dataset1.csv"]
)
def test_an_existing_file_is_never_overwritten_and_nothing_is_written_beside_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(CannotWrite) as refused:
        write_demo(tmp_path, DemoOptions(rows=100, truth=True))
    assert refused.value.file == str(tmp_path / name)
    assert refused.value.hint
    assert all_bytes(tmp_path) == {name: b"precious"}


def test_an_interrupted_file_leaves_nothing_half_written(tmp_path: Path, small_chunks: None) -> None:
    def interrupt(_what: str, _done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path, DemoOptions(rows=1000, truth=True), interrupt)
    assert all_bytes(tmp_path) == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: DemoOptions(rows=99),
        lambda: DemoOptions(rows=100, files=0),
        lambda: DemoOptions(rows=100, files=101),
        lambda: DemoOptions(seed=-1),
    ],
)
def test_options_that_cannot_be_met_are_refused(make: Callable[[], DemoOptions]) -> None:
    with pytest.raises(UsageError):
        make()


# ---- the clients


def test_client_ids_are_four_letters_and_unique_in_each_period() -> None:
    for table in company().values():
        assert table["corporation"].is_unique
        assert table["corporation"].str.fullmatch("[a-z]{4}").all()


def test_no_test_client_is_in_a_training_file() -> None:
    tables = company()
    delivered = set(tables["practicedata"]["corporation"]) | set(tables["sourcedata"]["corporation"])
    assert not delivered & set(tables["testdata"]["corporation"])


def test_survivors_keep_their_ids_and_the_exited_never_come_back() -> None:
    before, after = (company()[period] for period in PERIODS)
    stayed = set(before["corporation"][before["exited"] == 0])
    assert set(before["corporation"]) & set(after["corporation"]) == stayed
    assert len(after) == len(before)


def survivors(**options: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The clients that are in both periods, in the same order: as they were, and as they have become."""
    before, after = (company(**options)[period].set_index("corporation") for period in PERIODS)
    both = before.index.intersection(after.index)
    return before.loc[both], after.loc[both]


def test_survivors_are_still_much_the_same_companies() -> None:
    before, after = survivors()
    for column, likeness in (("number_of_employees", 0.9), ("lastyear_activity", 0.8)):
        assert np.corrcoef(np.log(before[column] + 1), np.log(after[column] + 1))[0, 1] > likeness


def test_every_code_is_used_once_and_none_reads_as_a_missing_value() -> None:
    codes = client_codes(np.arange(26**4 - 1), 4, seed=1).view("S4").ravel()
    assert len(np.unique(codes)) == 26**4 - 1
    assert b"null" not in codes


@given(
    numbers=st.lists(st.integers(0, 26**5 - 2), unique=True, min_size=2),
    width=st.integers(5, 9),
    seed=st.integers(0, 2**64),
)
def test_different_numbers_have_different_codes(numbers: list[int], width: int, seed: int) -> None:
    codes = client_codes(np.array(numbers), width, seed)
    assert codes.shape == (len(numbers), width)
    assert len(np.unique(codes, axis=0)) == len(numbers)


@given(numbers=st.integers(1, 10**12))
def test_codes_are_as_wide_as_it_takes_and_no_wider(numbers: int) -> None:
    width = code_width(numbers)
    assert numbers < 26**width
    assert width == 4 or 26 ** (width - 1) <= numbers


def test_codes_do_not_look_sequential() -> None:
    codes = client_codes(np.arange(10_000), 6, seed=1).astype(int)
    for position in codes.T:
        assert abs(np.corrcoef(position[:-1], position[1:])[0, 1]) < 0.05
        assert np.bincount(position - ord("a"), minlength=26).min() > 250


def test_all_numbers_are_counts_and_skewed_as_in_life() -> None:
    for table in company().values():
        assert (table[FEATURES].dtypes == "int64").all()
        assert (table[FEATURES] >= 0).all(axis=None)
        assert (table[FEATURES].mean() > 1.3 * table[FEATURES].median()).all()
        assert (table["lastyear_activity"] >= table["lastmonth_activity"]).all()
        assert 0.01 < (table["lastmonth_activity"] == 0).mean() < 0.2


def test_activity_is_more_dispersed_than_counting_alone_would_make_it() -> None:
    table = company(rows=50_000)["practicedata"]
    alike = table[(table["lastyear_activity"] >= 1190) & (table["lastyear_activity"] <= 1210)]["lastmonth_activity"]
    assert len(alike) > 30
    assert alike.var() > 3 * alike.mean()


# ---- the truth


def formula(table: pd.DataFrame, *, later: bool) -> pd.Series:
    """The exit probability as the documentation of `holdfast.risk.democompany` gives it."""
    share, base, size = (1 / 7, -2.2, 0.6) if later else (1 / 12, -2.7, 0.2)
    fade = np.log((table["lastyear_activity"] * share + 1) / (table["lastmonth_activity"] + 1))
    log_odds = base + 4 * fade - size * np.log(table["number_of_employees"] / 40)
    if "region" in table:
        effects = {"north": -0.3, "south": 0.0, "east": 0.1, "west": 0.2, "overseas": 0.6}
        usual_contract = 6000 * (table["number_of_employees"] / 40) ** 0.6
        log_odds += table["region"].map(effects) - 0.5 * np.log(table["tenure_months"] / 36)
        log_odds += 0.5 * np.log(table["contract_value"] / usual_contract)
    probability: pd.Series = 1 / (1 + np.exp(-log_odds))
    return probability


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("period", PERIODS)
def test_the_truth_beside_the_data_is_the_documented_formula(period: str, extended: bool) -> None:
    table = company(extended=extended)[period]
    expected = formula(table, later=period == "sourcedata")
    np.testing.assert_allclose(table["probability"], expected, rtol=0, atol=5.1e-7)


def test_half_of_the_test_data_is_from_each_period_in_mixed_order() -> None:
    table = company()["testdata"]
    fits_earlier, fits_later = (
        abs(table["probability"] - formula(table, later=later)) < 5.1e-7 for later in (False, True)
    )
    assert (fits_earlier | fits_later).all()  # a few, all but certain to exit or to stay, fit both
    for only in (fits_earlier & ~fits_later, fits_later & ~fits_earlier):
        assert 0.48 < only.mean() <= 0.5
        assert 0.45 < only[: len(only) // 2].mean() < 0.55


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("name", [*PERIODS, "testdata"])
def test_as_many_clients_exit_as_the_true_probabilities_say(name: str, extended: bool) -> None:
    table = company(rows=50_000, extended=extended)[name]
    for _, alike in table.groupby(pd.qcut(table["probability"], 10)):
        expected = alike["probability"].sum()
        deviation = np.sqrt((alike["probability"] * (1 - alike["probability"])).sum())
        assert abs(alike["exited"].sum() - expected) < 4.5 * deviation


# ---- the story


def fitted(table: pd.DataFrame) -> LogisticRegression:
    model = LogisticRegression(solver="liblinear", C=1.0, random_state=0, max_iter=100)
    return model.fit(table[FEATURES].to_numpy(), table["exited"])


def f1(model: LogisticRegression, table: pd.DataFrame) -> float:
    return float(f1_score(table["exited"], model.predict(table[FEATURES].to_numpy())))


@pytest.mark.parametrize("seed", range(1, 21))
def test_the_practice_model_decays_and_a_retrained_one_recovers(seed: int) -> None:
    practice, source, test = company(seed=seed).values()
    old, new = fitted(practice), fitted(source)  # a ConvergenceWarning would be an error
    assert 0.55 < f1(old, test) < 0.75
    assert f1(old, source) < f1(old, test) - 0.05
    assert f1(new, test) > f1(old, test) + 0.01
    for model in (old, new):
        lastmonth, lastyear, employees = model.coef_[0]
        assert lastmonth < 0 < lastyear
        assert employees < 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_fresh_clients_of_the_later_period_a_retrained_model_is_far_better(seed: int) -> None:
    practice, source, _ = company(seed=seed).values()
    fresh = company(seed=seed + 1000)["sourcedata"]
    assert f1(fitted(source), fresh) > f1(fitted(practice), fresh) + 0.15


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_truth_leaves_room_for_better_models(seed: int) -> None:
    practice, source, test = company(seed=seed).values()
    for model in (fitted(practice), fitted(source)):
        scores = model.decision_function(test[FEATURES].to_numpy())
        assert roc_auc_score(test["exited"], test["probability"]) > roc_auc_score(test["exited"], scores) + 0.02
        assert f1_score(test["exited"], test["probability"] > 0.5) > f1(model, test) + 0.05


@pytest.mark.parametrize("seed", range(1, 21))
def test_between_a_quarter_and_two_fifths_of_the_clients_exit(seed: int) -> None:
    assert all(0.25 < table["exited"].mean() < 0.40 for table in company(seed=seed).values())


# ---- the extended table


def test_the_extended_columns_are_present_and_can_be_parsed(tmp_path: Path) -> None:
    record = write_demo(tmp_path, DemoOptions(rows=2000, extended=True))
    for name in record.files:
        table = read(tmp_path / name)
        assert list(table.columns) == [*HEADER[:-1], *EXTENSION, "exited"]
        assert set(table["region"]) == set(REGIONS)
        assert set(table["segment"]) == set(SEGMENTS)
        assert (table[["contract_value", "tenure_months"]].dtypes == "int64").all()
        assert (table[["contract_value", "tenure_months"]] > 0).all(axis=None)
        dates = pd.to_datetime(table["snapshot_date"], format="%Y-%m-%d")
        assert dates.dt.is_month_end.all()


def test_each_period_has_one_snapshot_date_a_month_and_practice_comes_first() -> None:
    earlier, later = (sorted(set(company(rows=2000, extended=True)[period]["snapshot_date"])) for period in PERIODS)
    assert len(earlier) == len(later) == 12
    assert len({date[:7] for date in earlier}) == 12
    assert max(earlier) < min(later)


def test_between_the_periods_a_survivor_ages_by_two_years_and_stays_where_it_is() -> None:
    before, after = survivors(extended=True)
    assert (after["tenure_months"] - before["tenure_months"] == 24).all()
    assert (after["region"] == before["region"]).all()
    assert (after["snapshot_date"].str[:4].astype(int) - before["snapshot_date"].str[:4].astype(int) == 2).all()


def test_a_new_client_joined_between_the_periods() -> None:
    before, after = (company(rows=2000, extended=True)[period].set_index("corporation") for period in PERIODS)
    arrived = after[~after.index.isin(before.index)]
    assert arrived["tenure_months"].between(12, 23).all()
