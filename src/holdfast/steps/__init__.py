"""One use case each: take a workspace, return a record, print nothing."""
