"""The rows of a dataset as a Delta Lake table: one commit per delivery, every version readable until retention.

Rows lie in Parquet files ("parts"), whose names tell the first and last delivery in them. What a commit was for is
in its metadata, so the ledger can be brought up to date from the table.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from holdfast.errors import CannotWrite, ConfigurationError, InputOutputError, UsageError
from holdfast.records import DatasetVersion, SourceFile, from_json, to_json
from holdfast.schema import DELIVERY
from holdfast.store.files import sync_file, sync_folder

LOG = "_delta_log"
COMPACTION = "compaction"
PURPOSE = "holdfast.purpose"
RECORD = "holdfast.delivery"
LEFT = "holdfast.left"
RULE = "holdfast.conflicts"
PART = re.compile(r"([0-9]{6,})(?:-([0-9]{6,}))?-[0-9a-f]{8}\.parquet")
MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[\\\x00-\x1f\x7f]")
NOT_AS_IT_WAS = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a damaged record of the log raises."""
HINT = "restore this folder from a backup, or remove it and run holdfast ingest to take the files in again"


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of the table: the rows of the deliveries numbered `first` to `last`, in order of arrival."""

    path: Path
    first: int
    last: int

    def holds(self, numbers: Iterable[int]) -> bool:
        """True if its name covers one of these deliveries."""
        return any(self.first <= number <= self.last for number in numbers)


def part_numbers(name: str) -> tuple[int, int] | None:
    """The first and the last delivery that the name of a part tells; None for another file.

    >>> part_numbers("000001-000040-ab12cd34.parquet"), part_numbers("notes.txt")
    ((1, 40), None)
    """
    match = PART.fullmatch(name)
    return (int(match[1]), int(match[2] or match[1])) if match else None


def part_name(first: int, last: int, digest: str) -> str:
    """The name of a part.

    >>> part_name(3, 3, "ab12cd34ef"), part_name(1, 40, "ab12cd34ef")
    ('000003-ab12cd34.parquet', '000001-000040-ab12cd34.parquet')
    """
    return f"{first:06d}-{digest[:8]}.parquet" if first == last else f"{first:06d}-{last:06d}-{digest[:8]}.parquet"


class DatasetTable:
    """The Delta table in `folder`, which is made by the first commit. Only the holder of the lock may commit.

    Each commit says by which `rule` for conflicts its rows were counted.
    """

    def __init__(self, folder: Path, history_days: int, rule: str) -> None:
        self.folder = folder
        self._history = f"interval {max(history_days, 1)} days"
        self._rule = rule

    @cached_property
    def _table(self) -> DeltaTable | None:
        if not (self.folder / LOG).is_dir():
            return None
        with self._explained():
            try:
                return DeltaTable(self._address)
            except TableNotFoundError:  # a crash before the first commit
                return None

    @property
    def version(self) -> int | None:
        """The number of the latest commit; None before the first."""
        return None if self._table is None else self._table.version()

    def parts(self, version: int | None = None) -> tuple[Part, ...]:
        """The parts of the table, now or at a version, in order of arrival.

        Raises UsageError for a version that is not there, InputOutputError for one whose files are gone.
        """
        table = self._table if version is None else self._at(version)
        if table is None:
            return ()
        parts = sorted((self._part(Path(uri).name) for uri in table.file_uris()), key=lambda part: part.first)
        for part in parts if version is not None else ():
            if not part.path.is_file():
                message = (
                    f"version {version} of the dataset can no longer be read: its rows were erased or have expired"
                )
                raise InputOutputError(message, hint="holdfast dataset versions lists those that can be")
        return tuple(parts)

    def fresh_path(self, first: int, last: int) -> Path:
        """Where a new part with the rows of these deliveries can be written."""
        return self.folder / part_name(first, last, secrets.token_hex(4))

    def commit(
        self,
        purpose: str,
        *,
        add: Sequence[Path] = (),
        remove: Sequence[Part] = (),
        delivery: SourceFile | None = None,
        left: Collection[int] = (),
    ) -> int:
        """One commit that adds and removes parts; returns its version. `left`: the deliveries that leave with it.

        With a delivery its digest is the application transaction, so that it is committed once: for one that is there
        already, nothing is done and its version returned; one that has left may come again. A compaction changes no
        row. Raises CannotWrite, and has written nothing, when somebody else has committed since this table was opened.
        """
        with self._explained(writing=True):
            table = self._table or self._create(add[0])
            known = delivery and (table.transaction_version(delivery.digest) or 0) >= delivery.number
            there = self.standing().get(delivery.number) if delivery and known else None
            if there and there.version:
                return there.version
            version = table.version()
            rows_change = purpose != COMPACTION
            actions: list[AddAction | RemoveAction] = [self._added(path, rows_change=rows_change) for path in add]
            actions += [RemoveAction(part.path.name, rows_change, _now()) for part in remove]
            metadata = {PURPOSE: purpose, RULE: self._rule}
            metadata |= {RECORD: json.dumps(to_json(delivery))} if delivery else {}
            metadata |= {LEFT: json.dumps(sorted(left))} if left else {}
            done = [Transaction(app_id=delivery.digest, version=delivery.number)] if delivery else []
            table.create_write_transaction(
                actions,
                mode="append",
                schema=table.schema(),
                commit_properties=CommitProperties(metadata, max_commit_retries=0, app_transactions=done),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
            self._make_durable(version + 1)
            table.update_incremental()
            return version + 1

    def delivered_after(self, version: int) -> tuple[SourceFile, ...]:
        """The deliveries that were committed after a version, oldest first, each with the version that holds it."""
        with self._explained():
            found = [(int(entry["version"]), entry[RECORD]) for entry in self._after(version) if entry.get(RECORD)]
            records = ((number, json.loads(record)) for number, record in sorted(found))
            return tuple(from_json(SourceFile, record | {"version": number}) for number, record in records)

    def left_after(self, version: int) -> dict[int, int]:
        """The deliveries that left with the commits after a version, as far as those say so, each with the version
        with which it left last.
        """
        with self._explained():
            found = sorted((int(entry["version"]), entry.get(LEFT, "[]")) for entry in self._after(version))
            return {number: left for left, numbers in found for number in json.loads(numbers)}

    def standing(self, version: int | None = None) -> dict[int, SourceFile]:
        """The deliveries whose rows the table has, now or at a version, as far as the log tells, by number."""
        files: dict[int, SourceFile] = {}
        with self._explained():
            for entry in reversed(self._after(-1)):
                if version is None or int(entry["version"]) <= version:
                    for number in json.loads(entry.get(LEFT, "[]")):
                        files.pop(number, None)
                    if entry.get(RECORD):
                        told = json.loads(entry[RECORD]) | {"version": int(entry["version"])}
                        file = from_json(SourceFile, told)
                        files[file.number] = file
        return files

    def rule(self, version: int) -> str | None:
        """By which rule for conflicts the rows of a version were counted; None where the log does not tell."""
        with self._explained():
            told = (entry.get(RULE) for entry in self._after(version - 1) if int(entry["version"]) == version)
            return next(told, None)

    def versions(self) -> tuple[DatasetVersion, ...]:
        """Every commit that the log still tells of, oldest first."""
        if self._table is None:
            return ()
        with self._explained():
            entries = self._table.history()
            return tuple(_version(entry) for entry in sorted(entries, key=lambda entry: int(entry["version"])))

    def readable(self) -> frozenset[int]:
        """Those of `versions` whose rows are still there."""
        lying = {path.name for path in self.folder.glob("*.parquet") if part_numbers(path.name)}
        return frozenset(each.version for each in self.versions()) - self.needing(lambda name: name not in lying)

    def needing(self, meant: Callable[[str], bool]) -> frozenset[int]:
        """Those of `versions` that need a part whose name is meant: the log is read once, from its end to its start."""
        if self._table is None:
            return frozenset()
        found = set()
        with self._explained():
            needed = {name for uri in self._table.file_uris() if meant(name := Path(uri).name)}
            for version in sorted((int(entry["version"]) for entry in self._table.history()), reverse=True):
                if needed:
                    found.add(version)
                for action in (self.folder / LOG / f"{version:020d}.json").read_text("utf-8").splitlines():
                    for kind, told in json.loads(action).items():
                        if kind == "add":
                            needed.discard(Path(told["path"]).name)
                        elif kind == "remove" and meant(name := Path(told["path"]).name):
                            needed.add(name)
        return frozenset(found)

    def forget(self, days: float) -> int:
        """Delete the files that no version of the last `days` needs; returns how many."""
        if self._table is None:
            return 0
        with self._explained(writing=True):
            # Only listed: left to itself it would add versions of its own.
            unneeded = self._table.vacuum(int(24 * days), enforce_retention_duration=False)
            lying = [path for name in unneeded if (path := self.folder / name).is_file()]
            for path in lying:
                path.unlink()
        return len(lying)

    def _after(self, version: int) -> list[dict[str, Any]]:
        """What the log says of the commits after a version."""
        table = self._table
        return [] if table is None or table.version() <= version else table.history(table.version() - version)

    @property
    def _address(self) -> str:
        """The folder as deltalake takes it, which reads some characters of a path as others."""
        found = MISREAD.search(str(self.folder))
        if found:
            message = f"the dataset cannot lie in a folder whose path has {found[0]!r} in it"
            raise ConfigurationError(message, file=str(self.folder), hint="rename that folder")
        return str(self.folder)

    def _at(self, version: int) -> DeltaTable | None:
        latest = self.version
        if latest is None or not 0 <= version <= latest:
            known = "there is no version yet" if latest is None else f"the versions are 0 to {latest}"
            raise UsageError(f"there is no version {version} of the dataset", hint=known)
        with self._explained():
            return DeltaTable(self._address, version=version)

    def _create(self, part: Path) -> DeltaTable:
        fields = pq.read_schema(part)
        table = DeltaTable.create(
            self._address,
            schema=DeltaSchema.from_arrow(pa.schema([field.with_nullable(True) for field in fields])),
            configuration={
                "delta.logRetentionDuration": self._history,
                # What a checkpoint no longer tells of, `forget` would not find.
                "delta.deletedFileRetentionDuration": "interval 36500 days",
                "delta.checkpointInterval": "50",
            },
            commit_properties=CommitProperties(custom_metadata={PURPOSE: "made", RULE: self._rule}),
        )
        self._make_durable(0)
        self.__dict__["_table"] = table
        return table

    def _make_durable(self, version: int) -> None:
        """Wait for the disk, which deltalake does not: the ledger must never be ahead of the table."""
        log = self.folder / LOG
        for path in (*log.glob(f"{version:020d}.*"), *log.glob("_last_checkpoint")):
            sync_file(path)
        for folder in (log, self.folder):
            sync_folder(folder)

    def _part(self, name: str) -> Part:
        numbers = part_numbers(name)
        if numbers is None:
            raise InputOutputError("not a file that Holdfast wrote", file=str(self.folder / name), hint=HINT)
        return Part(self.folder / name, *numbers)

    def _added(self, path: Path, *, rows_change: bool) -> AddAction:
        part, status = self._part(path.name), path.stat()
        # No statistics of other columns: the least and the greatest client id are personal data in a log.
        bounds = {DELIVERY: part.first}, {DELIVERY: part.last}
        rows = pq.read_metadata(path).num_rows
        stats = {"numRecords": rows} | ({"minValues": bounds[0], "maxValues": bounds[1]} if rows else {})
        return AddAction(path.name, status.st_size, {}, _now(), rows_change, json.dumps(stats))

    @contextmanager
    def _explained(self, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            message = "somebody else wrote to the dataset at the same time"
            raise CannotWrite(message, file=str(self.folder), hint="only Holdfast may write to this table") from error
        except (DeltaError, OSError, pa.ArrowException, *NOT_AS_IT_WAS) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            kind, done = (CannotWrite, "written") if writing else (InputOutputError, "read")
            raise kind(f"the dataset cannot be {done}: {reason}", file=str(self.folder), hint=HINT) from error


def _version(entry: dict[str, Any]) -> DatasetVersion:
    record = json.loads(entry[RECORD]) if entry.get(RECORD) else {}
    return DatasetVersion(
        version=int(entry["version"]),
        committed=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry["timestamp"] / 1000)),
        purpose=str(entry.get(PURPOSE) or entry.get("operation")),
        delivery=record.get("number"),
        name=record.get("name"),
        rows=record.get("rows"),
    )


def _now() -> int:
    return int(1000 * time.time())
