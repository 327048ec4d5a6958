"""Renderings of the records: text, pictures and documents."""
