"""The engine's smoke benchmark: ``python -m bench``."""
