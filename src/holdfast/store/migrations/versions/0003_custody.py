"""Erasures can be undone; what a dataset was made of no longer grows with the square of its deliveries."""

import json

import sqlalchemy as sa
from alembic import op

from holdfast.store.tables import ranges_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("erasures", sa.Column("act", sa.Text, nullable=False, server_default="erased"))
    connection = op.get_bind()
    change = sa.text("UPDATE datasets SET deliveries = :deliveries, record = :record WHERE digest = :digest")
    for row in connection.execute(sa.text("SELECT digest, deliveries, record FROM datasets")).all():
        record = json.loads(row.record)
        del record["files"]
        numbers = json.loads(row.deliveries)
        record["deliveries"] = len(numbers)
        values = {"digest": row.digest, "deliveries": ranges_of(numbers), "record": json.dumps(record)}
        connection.execute(change, values)


def downgrade() -> None:
    op.drop_column("erasures", "act")
