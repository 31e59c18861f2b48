"""Reading JSON documents field by field, with an error that names the field.

A document is read once at the edge; inside, only frozen dataclasses travel. JSON bounds nothing,
so every number here has a range and every text a length: a number that passes can be added up,
divided and made a float anywhere inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tidegate.contract.errors import DocumentError

MOST_NUMBER: Final = 1e12
"""Above every rate and every number of seconds that can be meant."""

MOST_INTEGER: Final = 2**53 - 1
"""The largest that a float, and JSON in every language, holds exactly (RFC 8259, section 6)."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Fields:
    """A JSON object being read: typed getters that raise `DocumentError` with the field's name."""

    def __init__(self, document: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise DocumentError(document, "", "must be a JSON object")
        self._document = document
        self._value: Mapping[str, Any] = value

    def text(self, name: str, allowed: tuple[str, ...] | None = None, *, most: int = 253) -> str:
        """A string of at most `most` characters; one of `allowed` where that is given."""
        value = self._value.get(name)
        if not isinstance(value, str):
            raise DocumentError(self._document, name, "must be a string")
        if allowed is not None and value not in allowed:
            raise DocumentError(self._document, name, f"must be one of {', '.join(allowed)}")
        if len(value) > most:
            raise DocumentError(self._document, name, f"must be at most {most} characters")
        if _SURROGATE.search(value):
            raise DocumentError(self._document, name, "holds half a surrogate pair")
        return value

    def optional_text(self, name: str, *, most: int = 253) -> str | None:
        """The same, or ``None`` where the field is absent or null."""
        return None if self._value.get(name) is None else self.text(name, most=most)

    def boolean(self, name: str) -> bool:
        """``true`` or ``false``."""
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise DocumentError(self._document, name, "must be true or false")
        return value

    def number(self, name: str, *, least: float = 0.0, most: float = MOST_NUMBER) -> float:
        """A number in a range, both ends included."""
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DocumentError(self._document, name, "must be a number")
        # Compared before anything else: an int may be too large to be made a float at all.
        if not least <= value <= most:
            problem = f"must be a number from {least:.15g} to {most:.15g}"
            raise DocumentError(self._document, name, problem)
        return float(value)

    def optional_number(
        self, name: str, *, least: float = 0.0, most: float = MOST_NUMBER
    ) -> float | None:
        """The same, or ``None`` where the field is absent or null."""
        given = self._value.get(name) is not None
        return self.number(name, least=least, most=most) if given else None

    def integer(self, name: str, *, least: int = 0, most: int = MOST_INTEGER) -> int:
        """A whole number in a range, both ends included."""
        value = self._value.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            problem = f"must be a whole number from {least} to {most}"
            raise DocumentError(self._document, name, problem)
        return value

    def optional_integer(
        self, name: str, *, least: int = 0, most: int = MOST_INTEGER
    ) -> int | None:
        """The same, or ``None`` where the field is absent or null."""
        given = self._value.get(name) is not None
        return self.integer(name, least=least, most=most) if given else None

    def optional(self, name: str) -> object | None:
        """The raw value, ``None`` where absent."""
        value: object | None = self._value.get(name)
        return value
