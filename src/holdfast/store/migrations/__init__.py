"""The ledger's history: Alembic brings an older ledger up to date in one transaction."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0004"
"""The newest revision, known without importing Alembic: most commands find the ledger up to date."""


class NewerLedger(Exception):
    """The ledger was written by a newer version of Holdfast."""


class OlderLedger(Exception):
    """The ledger was written by an older version of Holdfast, and whoever only reads does not bring it up to date."""


def is_made(engine: sa.Engine) -> bool:
    """True if a ledger at HEAD is behind `engine`, False if nothing is; changes nothing.

    Raises NewerLedger or OlderLedger when it is at another revision.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found is not None and found > HEAD:
        raise NewerLedger(f"the ledger is at revision {found}, this version knows {HEAD}")
    if found is not None and found < HEAD:
        raise OlderLedger(f"the ledger is at revision {found}, and this version reads {HEAD}")
    return found is not None


def upgrade(engine: sa.Engine) -> None:
    """Bring the ledger behind `engine` to HEAD.

    Raises NewerLedger when its revision is one that this version does not know.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.execution_options(begin="IMMEDIATE").begin() as connection:
        found = _revision(connection)
        if found == HEAD:  # another process was quicker
            return
        if found is not None and found > HEAD:
            raise NewerLedger(f"the ledger is at revision {found}, this version knows {HEAD}")
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "holdfast:store/migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])
