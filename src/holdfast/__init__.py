"""Holdfast: which clients are about to leave, and when its own model has gone stale. Importing it runs nothing."""
