"""What a text setting may be: each kind parses it and can say in words what it allows.

Annotations and environment variables are text. A table of settings names a kind for each, and the
same kind writes the error, the help and the documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

ANY_ORIGIN: Final = "*"
"""Stands for every origin in a list of origins."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Kind:
    """`allowed` in words, and `parse`, which raises `ValueError` for anything else."""

    allowed: str
    parse: Callable[[str], object]

    def accepts(self, text: str) -> bool:
        """Whether `text` is allowed."""
        try:
            self.parse(text)
        except ValueError:
            return False
        return True


def integer(least: int, most: int, unit: str = "") -> Kind:
    """A whole number in a range, both ends included."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise _refuse()
        return value

    return Kind(f"a whole number from {least} to {most}{_of(unit)}", parse)


def number(least: float, most: float, unit: str = "") -> Kind:
    """A finite number in a range, both ends included."""

    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise _refuse()
        return value

    return Kind(f"a number from {least:g} to {most:g}{_of(unit)}", parse)


def choice(*words: str) -> Kind:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in words:
            raise _refuse()
        return text

    return Kind(" or ".join(words), parse)


def pattern(expression: str, allowed: str) -> Kind:
    """Text that matches the expression as a whole."""
    compiled = re.compile(expression)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise _refuse()
        return text

    return Kind(allowed, parse)


def url(*schemes: str) -> Kind:
    """An address with one of `schemes` and a host."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
            raise _refuse()
        return text

    return Kind(" or ".join(f"{scheme}://HOST:PORT" for scheme in schemes), parse)


def origins() -> Kind:
    """One or more origins, each once, exactly as browsers send them (RFC 6454, section 6.2).

    Another spelling, a default port or a path would never be equal to what a browser sends.
    """

    def parse(text: str) -> tuple[str, ...]:
        listed = dict.fromkeys(part.strip() for part in text.split(","))
        for origin in listed:
            if origin != ANY_ORIGIN and not _is_origin(origin):
                raise _refuse()
        return tuple(listed)

    return Kind(
        f"{ANY_ORIGIN} (every origin, without credentials) or SCHEME://HOST[:PORT] as browsers "
        "send it (lower case, no path, no default port), several separated by commas",
        parse,
    )


def several(kind: Kind) -> Kind:
    """One or more of a kind, separated by commas; read as the text it is."""

    def parse(text: str) -> str:
        for part in text.split(","):
            kind.parse(part.strip())
        return text

    return Kind(f"{kind.allowed}, several separated by commas", parse)


def or_word(word: str, kind: Kind) -> Kind:
    """The word, or what `kind` allows."""

    def parse(text: str) -> object:
        return text if text == word else kind.parse(text)

    return Kind(f"{word} or {kind.allowed}", parse)


def _is_origin(text: str) -> bool:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return False
    scheme, _, port = found.groups()
    return port is None or (port != _DEFAULT_PORTS.get(scheme) and int(port) <= 65535)


def _refuse() -> ValueError:
    return ValueError("not allowed")


def _of(unit: str) -> str:
    return f" {unit}" if unit else ""
