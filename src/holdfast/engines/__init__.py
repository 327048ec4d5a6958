"""Engines that compute over many rows."""
