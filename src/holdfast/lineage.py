"""What rests on which deliveries: models, assessments, and the datasets between."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from holdfast.records import TracedAssessment, TracedModel

if TYPE_CHECKING:
    from holdfast.store.ledger import Ledger


def resting_on(
    ledger: Ledger, deliveries: Collection[int]
) -> tuple[tuple[TracedModel, ...], tuple[TracedAssessment, ...]]:
    """The models and assessments whose dataset holds one of these deliveries."""

    def rests(dataset: str) -> bool:
        known = ledger.dataset(dataset)
        return known is not None and not set(deliveries).isdisjoint(known.deliveries)

    models = tuple(model for model in traced_models(ledger) if rests(model.dataset_digest))
    return models, tuple(each for each in traced_assessments(ledger) if rests(each.dataset_digest))


def traced_models(ledger: Ledger) -> tuple[TracedModel, ...]:
    """Every model, oldest first, with the dataset that it learned from."""
    releases = ledger.releases()
    return tuple(
        TracedModel(
            digest=record.model_digest,
            created=created,
            dataset_digest=dataset,
            version=_version(ledger, dataset),
            rows=record.rows,
            releases=tuple(release.id for release in releases if release.model_digest == record.model_digest),
        )
        for created, record, dataset in ledger.models()
    )


def traced_assessments(ledger: Ledger) -> tuple[TracedAssessment, ...]:
    """Every assessment, oldest first, with the dataset that it rests on."""
    return tuple(
        TracedAssessment(
            number=head.number,
            created=head.created,
            release=head.release,
            model=head.model,
            dataset_digest=head.dataset,
            version=_version(ledger, head.dataset),
        )
        for head in ledger.assessments()
    )


def _version(ledger: Ledger, dataset: str) -> int | None:
    known = ledger.dataset(dataset)
    return known.record.version if known else None
