"""Files, releases and the ledger: everything that Holdfast keeps."""
