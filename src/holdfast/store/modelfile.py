"""model.json: the model as data only. Loading it runs no code; one changed byte refuses it."""

from __future__ import annotations

import json
import math
from pathlib import Path

from holdfast.errors import ModelFileDamaged
from holdfast.records import RiskModel, from_json, to_json
from holdfast.store.files import digest_of

FORMAT = "holdfast-model"
VERSION = 1
GOLDEN_TOLERANCE = 1e-9
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
    unknown, or when a golden row no longer gives its recorded probability.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT or document["version"] != VERSION:
            found = f"{document['format']} {document['version']}"
            raise ModelFileDamaged("a model file of another format or version", file=file, value=found, hint=RETRAIN)
        model = from_json(RiskModel, document["model"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFileDamaged("this is not a model that Holdfast wrote", file=file, hint=RETRAIN) from None
    if model_bytes(model) != data:
        raise ModelFileDamaged("the file was changed after training wrote it", file=file, hint=RETRAIN)
    for row in model.golden:
        if not math.isclose(_probability(model, row.values), row.probability, abs_tol=GOLDEN_TOLERANCE):
            raise ModelFileDamaged("a golden row no longer gives its recorded probability", file=file, hint=RETRAIN)
    return model


def read_model(path: Path) -> RiskModel:
    """The model in the file at `path`; raises ModelFileDamaged when there is none that can be trusted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileDamaged("there is no trained model here", file=str(path), hint="run: holdfast train") from None
    return parse_model(data, str(path))


def _probability(model: RiskModel, values: tuple[float | None, ...]) -> float:
    filled = (m if v is None else v for v, m in zip(values, model.medians, strict=True))
    log_odds = model.intercept + math.fsum(c * v for c, v in zip(model.coefficients, filled, strict=True))
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
