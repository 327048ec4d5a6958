"""What a terminal shows of a schema and of a file under it: whole names, harmless texts, a clear verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.records.contract import (
    BrokenCell,
    BrokenRule,
    CheckedColumn,
    SchemaCheck,
    SchemaColumn,
    SchemaInferred,
    SchemaShow,
)
from holdfast.render.contract import Lines, check_lines, inferred_lines, pasteable, schema_lines


def shown(lines: Lines, width: int = 160) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))
    return captured.get()


def column(name: str, role: str = "feature", kind: str = "integer", **rules: Any) -> SchemaColumn:
    usual: dict[str, Any] = dict.fromkeys(["unit", "minimum", "maximum", "earliest", "latest", "exited", "stayed"])
    usual |= {"categories": (), "missing_allowed": False, "learned": False}
    return SchemaColumn(name=name, role=role, type=kind, **(usual | rules))


def schema(*columns: SchemaColumn, **changed: Any) -> SchemaShow:
    given: dict[str, Any] = {"origin": "config.json", "client_in_file": True}
    return SchemaShow(workspace="/srv/acme", digest="0123456789abcdef", columns=columns, **(given | changed))


def check(*broken: BrokenRule, columns: tuple[CheckedColumn, ...] = (), **changed: Any) -> SchemaCheck:
    counts: dict[str, Any] = {"rows": 9, "accepted": 9, "quarantined": 0, "exited": 2, "stayed": 7, "unlabelled": 0}
    rest: dict[str, Any] = {"source": None, "extra": (), "notices": (), "seconds": 0.1}
    return SchemaCheck(file="march.csv", digest="d", columns=columns, broken=broken, **(counts | rest | changed))


def broken(rule: str = "missing", rows: int = 1, quarantined: bool = True, *excerpts: str) -> BrokenRule:
    examples = tuple(BrokenCell(line=line, excerpt=excerpt) for line, excerpt in enumerate(excerpts, 2))
    return BrokenRule(column="visits", rule=rule, quarantined=quarantined, rows=rows, examples=examples)


def checked(name: str, **given: Any) -> CheckedColumn:
    usual: dict[str, Any] = dict.fromkeys(["unit", "minimum", "maximum", "earliest", "latest"])
    usual |= {"role": "feature", "type": "number", "missing": 0, "refused": 0}
    return CheckedColumn(name=name, **(usual | given))


# ---- the schema


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (column("a", minimum=0), "from 0"),
        (column("a", maximum=12345.5), "up to 12,345.5"),
        (column("a", minimum=-1, maximum=1), "-1 to 1"),
        (column("a"), "any whole number"),
        (column("a", kind="number"), "any number"),
        (column("a", kind="date", earliest="2020-01-01"), "from 2020-01-01"),
        (column("a", kind="date", earliest="2020-01-01", latest="2021-01-01"), "2020-01-01 to 2021-01-01"),
        (column("a", kind="date"), "any day"),
        (column("a", kind="category"), "any text"),
        (column("a", kind="category", categories=("b", "c")), "b, c"),
        (column("a", kind="category", categories=tuple("bcdefghi")), "b, c, d, e, f, g and 2 more"),
        (column("a", "target", "label", exited="1", stayed="0"), "1: exited, 0: stayed"),
    ],
)
def test_which_values_a_column_takes_is_said_in_words(of: SchemaColumn, words: str) -> None:
    line = next(line for line in shown(schema_lines(schema(of))).splitlines() if line.startswith("a "))
    assert words in line.split("  ") or line.rstrip().endswith(words) or f" {words} " in line


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (column("a"), "refused"),
        (column("a", missing_allowed=True), "taken"),
        (column("a", "target", "label", exited="1", stayed="0", missing_allowed=True), "unlabelled"),
    ],
)
def test_what_becomes_of_a_row_without_a_value_is_said(of: SchemaColumn, word: str) -> None:
    line = next(line for line in shown(schema_lines(schema(of))).splitlines() if line.startswith("a "))
    assert line.rstrip().endswith(word)


def test_units_are_shown_where_there_are_any() -> None:
    assert "unit" not in shown(schema_lines(schema(column("a"))))
    assert "EUR" in shown(schema_lines(schema(column("a", unit="EUR"))))


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_names_of_columns_stay_whole_at_any_width(width: int) -> None:
    name = "a_rather_long_name_of_a_column"
    assert name in shown(schema_lines(schema(column(name, unit="EUR", minimum=0))), width)
    assert name in shown(check_lines(check(columns=(checked(name, unit="EUR", minimum=1.5, maximum=2.5),))), width)


def test_where_the_schema_comes_from_is_said() -> None:
    assert "config.json, digest 01234567" in shown(schema_lines(schema(column("a"))))
    assert "config.json has no 'schema'" in shown(schema_lines(schema(column("a"), origin="brief")))


def test_a_table_without_clients_says_that_rows_are_clients() -> None:
    text = shown(schema_lines(schema(column("client", "client", "text"), column("a"), client_in_file=False)))
    assert "every row is a client of its own" in text
    assert not any(line.startswith("client ") for line in text.splitlines())


def test_what_the_model_learns_from_is_said() -> None:
    text = shown(schema_lines(schema(column("a", learned=True), column("b"), column("c", learned=True))))
    assert "the model learns from 2 columns: a, c" in text


# ---- what to put into config.json

KEYS = st.text(max_size=5)


@given(
    st.dictionaries(KEYS, KEYS | st.none() | st.lists(KEYS), max_size=4),
    st.dictionaries(KEYS, st.dictionaries(KEYS, KEYS | st.booleans() | st.integers()), min_size=1, max_size=4),
)
def test_what_is_to_be_pasted_is_the_schema_itself(others: dict[str, Any], features: dict[str, Any]) -> None:
    given = others | {"features": features}
    lines = list(pasteable(given))
    assert json.loads("{" + "\n".join(lines) + "}") == {"schema": given}
    assert all(line.isprintable() for line in lines)


def inferred(**changed: Any) -> SchemaInferred:
    given: dict[str, Any] = {"is_the_briefs": False, "schema": {"client": "id", "features": {"a": {"type": "integer"}}}}
    rest: dict[str, Any] = {"client_in_file": True, "columns": (column("a"),), "findings": ("'b' is left out",)}
    return SchemaInferred(**({"file": "churn.csv"} | given | rest | changed))


def test_what_was_found_is_followed_by_what_to_paste() -> None:
    text = shown(inferred_lines(inferred()))
    assert "found: 'b' is left out" in text
    assert '"a": {"type": "integer"}' in text


def test_the_briefs_table_needs_nothing_pasted() -> None:
    text = shown(inferred_lines(inferred(is_the_briefs=True)))
    assert "config.json needs no 'schema'" in text
    assert '"features"' not in text


# ---- a file


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        ({}, "it keeps the schema; every row would be taken in"),
        ({"rows": 0, "accepted": 0}, "it keeps the schema, and it has no rows"),
        ({"rows": 3, "accepted": 0, "quarantined": 3}, "no row would be taken in"),
        ({"rows": 10, "quarantined": 1}, "1 row (10 %) would go to quarantine, the others would be taken in"),
    ],
)
def test_the_verdict_is_a_sentence(counted: dict[str, Any], verdict: str) -> None:
    assert shown(check_lines(check(**counted))).splitlines()[-1] == f"verdict: {verdict}"


def test_the_rows_add_up_in_the_first_line() -> None:
    text = shown(check_lines(check(rows=1010, accepted=1000, quarantined=10, source="branches")))
    assert text.startswith("march.csv, read as the source branches: 1,010 rows = 1,000 accepted + 10 quarantined")


def test_a_rule_is_shown_with_what_becomes_of_the_rows_and_the_first_of_them() -> None:
    text = shown(
        check_lines(check(broken("not a whole number", 1200, True, "seven", ""), broken("not 0 or 1", 2, False)))
    )
    (line,) = (line for line in text.splitlines() if "whole" in line)
    assert [cell.strip() for cell in line.split("   ") if cell.strip()] == [
        "1,200", "visits", "not a whole number", "quarantined", "line 2: seven, line 3: empty",
    ]  # fmt: skip
    assert any("not 0 or 1" in line and "unlabelled" in line for line in text.splitlines())


def test_of_many_rules_the_first_are_shown_and_the_others_counted() -> None:
    text = shown(check_lines(check(*(broken(f"rule {number:02}") for number in range(15)))))
    assert "rule 11" in text
    assert "rule 12" not in text
    assert "and 3 more rules" in text


def test_labels_are_counted_with_the_share_of_exits() -> None:
    text = shown(check_lines(check(rows=12, accepted=12, exited=2, stayed=8, unlabelled=2)))
    assert "2 exited (20 % of 10 with a label); 2 rows without a label" in text


def test_a_column_shows_its_extremes_and_what_is_missing() -> None:
    columns = (
        checked("day", type="date", earliest="2020-01-01", latest="2026-01-01"),
        checked("worth", minimum=1.5, maximum=20000.0, missing=3, refused=7),
    )
    lines = shown(check_lines(check(columns=columns))).splitlines()
    (day,) = (line.split() for line in lines if line.startswith("day"))
    (worth,) = (line.split() for line in lines if line.startswith("worth"))
    assert day == ["day", "date", "2020-01-01", "2026-01-01"]
    assert worth == ["worth", "number", "33.3", "%", "1.5", "20,000", "7"]


def test_texts_from_outside_are_no_markup_and_cannot_act_on_the_terminal() -> None:
    nasty = "[bold]\x1b[31m\u202e"
    texts = [
        shown(schema_lines(schema(column(nasty, unit=nasty, categories=(nasty,), kind="category")))),
        shown(inferred_lines(inferred(file=nasty, findings=(nasty,), schema={"features": {nasty: {}}}))),
        shown(
            check_lines(check(broken(nasty, 1, True, "[x]"), columns=(checked(nasty, unit=nasty),), notices=(nasty,)))
        ),
    ]
    for text in texts:
        assert "[bold]" in text
        assert not {"\x1b", "\u202e"} & set(text)
