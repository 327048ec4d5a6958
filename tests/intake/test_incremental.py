"""Incremental ingestion equals ingestion from scratch, whatever is delivered, repeated, renamed, changed or removed.

The order in which deliveries arrive matters in three places, and a model of thirty lines says how:

- A file that changed under one of its names arrives anew, after all others, and its former rows leave; unless its
  former bytes still lie in the folder under another name, or it is another file of the folder that moved there.
- A file that was removed stays in the dataset.
- Under `latest` the last row of a client (at a time) counts, under `quarantine` the first.

So the dataset is that of one ingestion of the current deliveries into a fresh workspace, if they arrive in the same
order. Where no file was removed that is the folder itself, under `keep` in whatever order the files arrived.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import NoUsableData
from holdfast.records import IngestRecord
from holdfast.schema import schema_from_json
from holdfast.session import reading
from holdfast.steps.ingestion import ingest
from holdfast.workspace import Conflicts, Workspace

COLUMNS = ("corporation", "month", "activity", "note", "exited")
FEATURES = {
    "activity": {"type": "integer", "minimum": 0},
    "note": {"type": "category", "missing_allowed": True},
}
UNDATED = schema_from_json(
    {"client": "corporation", "target": "exited", "features": FEATURES | {"month": {"type": "category"}}}
)
DATED = schema_from_json({"client": "corporation", "time": "month", "target": "exited", "features": FEATURES})
NAMES = ("a.csv", "b.csv", "c.csv")
REFUSED = "this is no table\n"

Row = tuple[str, ...]
CLIENTS = ("acme", "NA", "0012", "Äçme 🦊", '"a, ""b"""', "cafe\u0301")
GOOD: st.SearchStrategy[Row] = st.tuples(
    st.sampled_from(CLIENTS),
    st.sampled_from(["2026-01-31", "2026-02-28"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["", "x"]),
    st.sampled_from(["0", "1", ""]),
)
BAD = st.sampled_from([("acme", "2026-01-31", "-1", "", "0"), ("acme", "2026-01-31"), ("", "2026-01-31", "1", "", "0")])


def is_good(row: Row) -> bool:
    return len(row) == len(COLUMNS) and row[0] != "" and row[2] != "-1"


def text_of(rows: list[Row]) -> str:
    return "".join(f"{','.join(row)}\n" for row in [COLUMNS, *rows])


# A file in which no row has the right number of fields is refused, so every generated one has a good row or none.
CONTENTS = st.one_of(
    st.just(REFUSED),
    st.just(text_of([])),
    st.tuples(GOOD, st.lists(st.one_of(GOOD, GOOD, BAD), max_size=4)).map(lambda drawn: text_of([drawn[0], *drawn[1]])),
)


@dataclass
class Model:
    """What ingestion should make of a folder."""

    held: dict[str, str] = field(default_factory=dict)  # the last content under each name
    current: list[str] = field(default_factory=list)  # contents, in order of arrival

    def ingest(self, folder: dict[str, str]) -> None:
        for name, content in sorted(folder.items()):
            if content == REFUSED:
                continue
            old, self.held[name] = self.held.get(name), content
            moved = content in self.current and list(folder.values()).count(content) == 1
            if old in self.current and old not in folder.values() and not moved:
                self.current.remove(old)
            if content not in self.current:
                self.current.append(content)

    def rows(self, rule: Conflicts, *, dated: bool) -> list[Row]:
        """The rows of the dataset, in order."""
        keys: dict[Row, list[Row]] = {}
        order: list[tuple[Row, Row]] = []
        for content in self.current:
            for line in content.splitlines()[1:]:
                row = cells(line)
                if is_good(row):
                    key = row if rule == "keep" else row[:2] if dated else row[:1]
                    before = keys.setdefault(key, [])
                    if not before or (rule == "latest" and row != before[-1]):
                        order = [each for each in order if rule != "latest" or each[0] != key]
                        order.append((key, row))
                    before.append(row)
        return [row for _, row in order]


def cells(line: str) -> Row:
    """The cells as they stand in the line, quotes and all: no generated cell but the quoted one has a comma."""
    if line.startswith('"'):
        quoted, rest = line.split('",', 1)
        return (f'{quoted}"', *rest.split(","))
    return tuple(line.split(","))


@dataclass(frozen=True)
class Delivered:
    """Something happens to the folder."""

    act: str
    name: str
    other: str
    content: str

    def to(self, folder: Path) -> None:
        """Do it."""
        path = folder / self.name
        if self.act == "write":
            path.write_text(self.content)
        elif path.exists() and self.act == "remove":
            path.unlink()
        elif path.exists() and self.act == "rename":
            path.rename(folder / self.other)
        elif path.exists() and self.act == "copy":
            (folder / self.other).write_bytes(path.read_bytes())


ACTS = st.builds(
    Delivered,
    st.sampled_from(["write", "write", "write", "ingest", "ingest", "rename", "copy", "remove"]),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    CONTENTS,
)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def final_rows(workspace: Workspace) -> list[Row]:
    """finaldata.csv in the columns' order of the files."""
    path = workspace.output_folder / "finaldata.csv"
    if not path.exists():
        return []
    header, *lines = path.read_text().splitlines()
    places = [header.split(",").index(column) for column in COLUMNS]
    return [tuple(cells(line)[place] for place in places) for line in lines]


@contextmanager
def fresh(make_company: Callable[[Path], Workspace], rule: Conflicts, *, dated: bool) -> Iterator[Workspace]:
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_company(Path(folder) / "company")
        for path in workspace.input_folder.iterdir():
            path.unlink()
        yield replace(workspace, schema=DATED if dated else UNDATED, conflicts=rule)


def ingested(workspace: Workspace) -> IngestRecord | None:
    """The record of an ingestion, in which every row of every file is accounted for; None where there is no row."""
    try:
        record = ingest(workspace)
    except NoUsableData:
        return None
    texts = contents(workspace.input_folder)
    for file in record.files:
        assert file.rows == file.accepted + file.duplicate + file.quarantined
        assert file.rows == (0 if file.status == "refused" else texts[file.name].count("\n") - 1)
    assert record.rows == sum(file.rows for file in record.files)
    return record


RULES: st.SearchStrategy[Conflicts] = st.sampled_from(["keep", "latest", "quarantine"])


@settings(max_examples=12, deadline=None)
@given(acts=st.lists(ACTS, max_size=12), rule=RULES, dated=st.booleans())
def test_any_history_of_deliveries_gives_the_rows_of_its_current_deliveries_at_once(
    make_company: Callable[[Path], Workspace], acts: list[Delivered], rule: Conflicts, dated: bool
) -> None:
    model = Model()
    with fresh(make_company, rule, dated=dated) as workspace:
        for act in [*acts, Delivered("ingest", "", "", "")]:
            act.to(workspace.input_folder)
            if act.act == "ingest":
                record = ingested(workspace)
                model.ingest(contents(workspace.input_folder))
                assert final_rows(workspace) == model.rows(rule, dated=dated)
                assert record is None or record.dataset.rows == len(final_rows(workspace))
                with reading(workspace) as (ledger, _):
                    current = ledger.current_deliveries(workspace.source, workspace.schema.digest)
                assert len(current) == len(model.current)
        folder = contents(workspace.input_folder)
        rows = final_rows(workspace)
    in_order = {f"{number:02}.csv": content for number, content in enumerate(model.current)}
    assert rows == from_scratch(make_company, in_order, rule, dated=dated)
    accepted = list(dict.fromkeys(content for _, content in sorted(folder.items()) if content != REFUSED))
    if accepted == model.current:
        assert rows == from_scratch(make_company, folder, rule, dated=dated)
    elif set(accepted) == set(model.current) and rule == "keep":
        assert sorted(rows) == sorted(from_scratch(make_company, folder, rule, dated=dated))


def from_scratch(
    make_company: Callable[[Path], Workspace], folder: dict[str, str], rule: Conflicts, *, dated: bool
) -> list[Row]:
    with fresh(make_company, rule, dated=dated) as workspace:
        for name, content in folder.items():
            (workspace.input_folder / name).write_text(content)
        ingested(workspace)
        return final_rows(workspace)
