"""A client is taken out of a workspace: out of tables, files, quarantine and ledger, and what is left is told."""
