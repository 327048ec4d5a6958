"""The list: every client with a risk and the reasons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRisk:
    """One client: probability of exit, rank (1 = call first), feature values and their contributions.

    Contributions are in log-odds and, with the assessment's `base`, sum to the log-odds of `probability`.
    """

    client: str
    rank: int
    probability: float
    values: tuple[float | None, ...]
    contributions: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Every current client scored by one release at one dataset version, riskiest first."""

    release: str
    model_digest: str
    dataset_digest: str
    created: str
    features: tuple[str, ...]
    base: float
    expected_exits: float
    clients: tuple[ClientRisk, ...]
    files: tuple[str, ...]
    notices: tuple[str, ...]
    seconds: float
