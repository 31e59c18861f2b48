"""Reading JSON documents field by field, with an error that names the field.

A document is read once at the edge; inside, only frozen dataclasses travel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tidegate.contract.errors import DocumentError


class Fields:
    """A JSON object being read: typed getters that raise `DocumentError` with the field's name."""

    def __init__(self, document: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise DocumentError(document, "", "must be a JSON object")
        self._document = document
        self._value: Mapping[str, Any] = value

    def text(self, name: str, allowed: tuple[str, ...] | None = None) -> str:
        """A string; one of `allowed` where that is given."""
        value = self._value.get(name)
        if not isinstance(value, str):
            raise DocumentError(self._document, name, "must be a string")
        if allowed is not None and value not in allowed:
            raise DocumentError(self._document, name, f"must be one of {', '.join(allowed)}")
        return value

    def boolean(self, name: str) -> bool:
        """``true`` or ``false``."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise DocumentError(self._document, name, "must be true or false")
        return value

    def number(self, name: str) -> float:
        """A finite number ≥ 0."""
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DocumentError(self._document, name, "must be a number")
        if not math.isfinite(value) or value < 0:
            raise DocumentError(self._document, name, "must be finite and at least 0")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """A finite number ≥ 0, or ``None`` where the field is absent or null."""
        return None if self._value.get(name) is None else self.number(name)

    def integer(self, name: str) -> int:
        """A whole number ≥ 0."""
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise DocumentError(self._document, name, "must be a whole number, at least 0")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number ≥ 0, or ``None`` where the field is absent or null."""
        return None if self._value.get(name) is None else self.integer(name)

    def optional(self, name: str) -> object | None:
        """The raw value, ``None`` where absent."""
        value: object | None = self._value.get(name)
        return value
