"""model.json: the model as data only. Loading it runs no code; one changed byte refuses it."""

from __future__ import annotations

import json
import math
from pathlib import Path

from holdfast.errors import ModelFileDamaged, from_os_error
from holdfast.records import GoldenRow, RiskModel, from_json, to_json
from holdfast.store.files import digest_of

FORMAT = "holdfast-model"
VERSION = 1
GOLDEN_TOLERANCE = 1e-9
ROUNDING = 1e-13
"""Relative to the sum of a row's absolute terms: what the order of adding them can change, with room to spare."""
RETRAIN = "train again (holdfast train), or deploy the last good model"


def model_bytes(model: RiskModel) -> bytes:
    """The one byte sequence that stands for `model`."""
    body = to_json(model)
    digest = digest_of(json.dumps(body, sort_keys=True).encode())
    document = {"format": FORMAT, "version": VERSION, "digest": digest, "model": body}
    return (json.dumps(document, indent=1) + "\n").encode()


def model_digest(model: RiskModel) -> str:
    """SHA-256 of the model's content."""
    return digest_of(json.dumps(to_json(model), sort_keys=True).encode())


def parse_model(data: bytes, file: str) -> RiskModel:
    """The model that `data` holds.

    Raises ModelFileDamaged when the bytes are not exactly those that `model_bytes` writes, when the format is
    unknown, when its lists differ in length, or when a golden row no longer gives its recorded probability.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT or document["version"] != VERSION:
            found = f"{document['format']} {document['version']}"
            raise ModelFileDamaged("a model file of another format or version", file=file, value=found, hint=RETRAIN)
        model = from_json(RiskModel, document["model"])
        unchanged = model_bytes(model) == data
        works = _fits_together(model) and all(_still_gives(model, row) for row in model.golden)
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        raise ModelFileDamaged("this is not a model that Holdfast wrote", file=file, hint=RETRAIN) from None
    if not unchanged:
        raise ModelFileDamaged("the file was changed after training wrote it", file=file, hint=RETRAIN)
    if not works:
        raise ModelFileDamaged("a golden row no longer gives its recorded probability", file=file, hint=RETRAIN)
    return model


def read_model(path: Path) -> RiskModel:
    """The model in the file at `path`; raises ModelFileDamaged when there is none that can be trusted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileDamaged("there is no trained model here", file=str(path), hint="run: holdfast train") from None
    except OSError as error:
        raise from_os_error(error, "read", str(path)) from None
    return parse_model(data, str(path))


def _fits_together(model: RiskModel) -> bool:
    return len(model.features) == len(model.coefficients) == len(model.typical)


def _still_gives(model: RiskModel, row: GoldenRow) -> bool:
    columns = zip(model.coefficients, row.values, model.typical, strict=True)
    terms = [c * (typical if value is None else value) for c, value, typical in columns] + [model.intercept]
    log_odds = math.fsum(terms)
    probability = 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
    size = math.fsum(map(abs, terms))
    return math.isfinite(size) and abs(probability - row.probability) <= GOLDEN_TOLERANCE + ROUNDING * size
