"""The brief's own file formats: ingestedfiles.txt and latestscore.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import InputOutputError
from holdfast.records import SourceFile

DATASET_MARK = "# dataset "
FINAL_DATA_MARK = "# finaldata.csv "
DELIVERY_MARK = "# delivery "


def ingested_files_text(dataset_digest: str, final_data_digest: str, files: Sequence[SourceFile]) -> str:
    """ingestedfiles.txt: the list of file names as a Python literal, then one comment line per delivery.

    >>> import ast
    >>> ast.literal_eval(ingested_files_text("0" * 64, "1" * 64, []))
    []
    """
    names = [file.name for file in files]
    lines = [repr(names), f"{DATASET_MARK}{dataset_digest}", f"{FINAL_DATA_MARK}{final_data_digest}"]
    lines += [
        f"{DELIVERY_MARK}{file.digest} {file.received} rows={file.rows} accepted={file.accepted} "
        f"folder={file.folder!r} name={file.name!r}"
        for file in files
    ]
    return "\n".join(lines) + "\n"


def dataset_in(ingested_files: str) -> str | None:
    """The dataset digest that an ingestedfiles.txt records, or None."""
    return _marked(ingested_files, DATASET_MARK)


def final_data_in(ingested_files: str) -> str | None:
    """The SHA-256 of the finaldata.csv that was written with an ingestedfiles.txt, or None."""
    return _marked(ingested_files, FINAL_DATA_MARK)


def _marked(text: str, mark: str) -> str | None:
    marked = [line for line in text.splitlines() if line.startswith(mark)]
    return marked[0].removeprefix(mark).strip() if marked else None


def deliveries_in(ingested_files: str) -> frozenset[str]:
    """The digests of the deliveries that an ingestedfiles.txt records."""
    lines = ingested_files.splitlines()
    return frozenset(line.split()[2] for line in lines if line.startswith(DELIVERY_MARK) and len(line.split()) > 2)


def score_text(f1: float) -> str:
    """latestscore.txt: the F1 number alone."""
    return f"{f1!r}\n"


def read_score(path: Path) -> float:
    """The number in a latestscore.txt.

    Raises InputOutputError when the file is missing or holds anything but a number from 0 to 1.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputOutputError("there is no readable score", file=str(path), hint="run: holdfast score") from None
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise InputOutputError("not an F1 score", file=str(path), value=text, hint="run: holdfast score")
    return score
