"""Holdfast: which clients are about to leave, and when its own model has gone stale.

Every use case is a function of a Workspace that returns a record:

    from holdfast import Workspace, assess, run
    workspace = Workspace.open("company")
    run(workspace)
    for client in assess(workspace).clients[:10]:
        print(client.client, client.probability)

Importing this package runs nothing and loads nothing: a name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.errors import HoldfastError as HoldfastError
    from holdfast.serving import predict as predict
    from holdfast.steps.assessment import assess as assess
    from holdfast.steps.calling import call as call
    from holdfast.steps.deployment import deploy as deploy
    from holdfast.steps.diagnostics import diagnose as diagnose
    from holdfast.steps.diagnostics import summarise as summarise
    from holdfast.steps.ingestion import ingest as ingest
    from holdfast.steps.process import run as run
    from holdfast.steps.reporting import report as report
    from holdfast.steps.scoring import score as score
    from holdfast.steps.status import status as status
    from holdfast.steps.training import train as train
    from holdfast.workspace import Workspace as Workspace

_HOMES = {
    "HoldfastError": "holdfast.errors",
    "Workspace": "holdfast.workspace",
    "assess": "holdfast.steps.assessment",
    "call": "holdfast.steps.calling",
    "deploy": "holdfast.steps.deployment",
    "diagnose": "holdfast.steps.diagnostics",
    "ingest": "holdfast.steps.ingestion",
    "predict": "holdfast.serving",
    "report": "holdfast.steps.reporting",
    "run": "holdfast.steps.process",
    "score": "holdfast.steps.scoring",
    "status": "holdfast.steps.status",
    "summarise": "holdfast.steps.diagnostics",
    "train": "holdfast.steps.training",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list, made from the one table


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
