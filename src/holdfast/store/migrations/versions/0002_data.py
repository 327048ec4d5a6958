"""What the datasets were made of, what was done to quarantined rows, and who was erased."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("digest", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "source", "schema_digest")),
        sa.Column("version", sa.Integer),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("deliveries", "record")),
    )
    op.create_table(
        "quarantine_acts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "actor")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("delivery", "line")),
        sa.Column("act", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("text", "reason")),
        sa.Column("replayed_as", sa.Integer),
    )
    op.create_index("quarantine_acts_by_row", "quarantine_acts", ["delivery", "line"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "tombstone")),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("receipt", sa.Text),
    )
    op.create_index("erasures_by_tombstone", "erasures", ["tombstone"])


def downgrade() -> None:
    for table in ("erasures", "quarantine_acts", "datasets"):
        op.drop_table(table)
