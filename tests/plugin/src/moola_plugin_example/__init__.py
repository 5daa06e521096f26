"""Pieces of one's own for the five packages; `pyproject.toml` names them, nothing here registers anything."""
