"""The first ledger: runs, deliveries, models, scores, releases, decisions, assessments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("parent", sa.Text),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exit_status", sa.Integer, nullable=False),
        sa.Column("worked", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("record", sa.Text),
    )
    op.create_table(
        "deliveries",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("run", "source", "schema_digest", "digest", "name", "status")
        ),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("deliveries_by_source", "deliveries", ["source", "schema_digest", "number"])
    op.create_table(
        "models",
        sa.Column("digest", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "dataset_digest", "record")),
    )
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "kind", "model_digest")),
        sa.Column("f1", sa.Float),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("scores_by_model", "scores", ["model_digest", "kind"])
    op.create_table(
        "releases",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "record")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("run", "created", "source", "dataset_digest")),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("release", sa.Text),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_table(
        "assessments",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("run", "created", "release", "dataset_digest", "digest", "record")
        ),
    )


def downgrade() -> None:
    for table in ("assessments", "decisions", "releases", "scores", "models", "deliveries", "runs"):
        op.drop_table(table)
