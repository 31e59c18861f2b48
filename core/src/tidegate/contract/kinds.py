"""Kinds of text settings: each parses a value and describes what it allows.

Annotations and environment variables are text. A setting names a kind once, and the same kind
writes the error, the help, the documentation and the JSON Schema of chart and custom resource.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

ANY_ORIGIN: Final = "*"
"""Stands for every origin in a list of origins."""

SHOWN_LENGTH: Final = 100
"""How much of a bad value an error repeats."""

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Kind:
    """`allowed` as text, and `parse`, which raises `ValueError` for anything else.

    `schema` is JSON Schema of the value, as far as a schema can express it. The text of a `secret`
    kind is in no error and no `repr`.
    """

    allowed: str
    parse: Callable[[str], Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    secret: bool = False

    def accepts(self, text: str) -> bool:
        """Whether `text` is allowed."""
        try:
            self.parse(text)
        except ValueError:
            return False
        return True

    def refusal(self, text: str) -> str:
        """The sentence about a `text` that is not allowed, without secrets.

        An address with a user in it (``@``) is a secret, too, wherever it was put by mistake.
        """
        hidden = self.secret or not text or "@" in text
        shown = "" if hidden else f", not {text[:SHOWN_LENGTH]!r}"
        return f"must be {self.allowed}{shown}"


def integer(least: int, most: int, unit: str = "") -> Kind:
    """A whole number in a range, both ends included."""

    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise _refuse()
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(f"a whole number from {least} to {most}{_of(unit)}", parse, schema)


def number(least: float, most: float, unit: str = "") -> Kind:
    """A finite number in a range, both ends included."""

    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not least <= value <= most:
            raise _refuse()
        return value

    schema = {"type": "number", "minimum": least, "maximum": most}
    return Kind(f"a number from {_plain(least)} to {_plain(most)}{_of(unit)}", parse, schema)


def switch() -> Kind:
    """``on`` or ``off``."""
    return replace(choice("on", "off"), parse=lambda text: bool(("off", "on").index(text)))


def choice(*words: str) -> Kind:
    """One of some values."""

    def parse(text: str) -> str:
        if text not in words:
            raise _refuse()
        return text

    return Kind(" or ".join(words), parse, {"enum": [*words]})


def pattern(expression: str, allowed: str) -> Kind:
    """Text that matches the expression as a whole."""
    compiled = re.compile(expression)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise _refuse()
        return text

    return Kind(allowed, parse, {"type": "string", "pattern": f"^({expression})$"})


def names(expression: str, allowed: str) -> Kind:
    """Texts that match the expression, separated by commas; may be none."""
    compiled = re.compile(expression)

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(",") if part.strip())
        if any(compiled.fullmatch(part) is None for part in found):
            raise _refuse()
        return found

    return Kind(f"{allowed} separated by commas, or empty", parse)


def texts() -> Kind:
    """A JSON object of texts. What is in it is checked elsewhere, and may hold a password."""

    def parse(text: str) -> dict[str, str]:
        value = json.loads(text)
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise _refuse()
        return value

    return Kind("a JSON object of texts", parse, secret=True)


def url(*schemes: str) -> Kind:
    """An address with one of `schemes` and a host."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
            raise _refuse()
        return text

    schema = {"type": "string", "pattern": f"^({'|'.join(schemes)})://"}
    return Kind(" or ".join(f"{scheme}://HOST:PORT" for scheme in schemes), parse, schema)


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


def networks() -> Kind:
    """Addresses or networks of them, as ``10.0.0.0/8`` or ``::1``; may be none."""

    def parse(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(p.strip()) for p in text.split(",") if p.strip())

    return Kind("addresses or networks (10.0.0.0/8) separated by commas, or empty", parse)


def several(kind: Kind) -> Kind:
    """One or more of a kind, separated by commas; read as the text it is."""

    def parse(text: str) -> str:
        for part in text.split(","):
            kind.parse(part.strip())
        return text

    return replace(kind, allowed=f"{kind.allowed}, several separated by commas", parse=parse)


def or_word(word: str, kind: Kind) -> Kind:
    """The literal, or what `kind` allows."""
    return replace(
        kind,
        allowed=f"{word} or {kind.allowed}",
        parse=lambda text: text if text == word else kind.parse(text),
        schema={"anyOf": [{"enum": [word]}, kind.schema]},
    )


def or_empty(kind: Kind, meaning: str, value: object = None) -> Kind:
    """What `kind` allows, or nothing, which is read as `value` and means `meaning`."""
    return replace(
        kind,
        allowed=f"{kind.allowed}, or empty ({meaning})",
        parse=lambda text: value if text == "" else kind.parse(text),
        schema={"anyOf": [{"enum": [""]}, kind.schema]},
    )


def secret(kind: Kind) -> Kind:
    """The same, with a text that is never shown."""
    return replace(kind, secret=True)


def _is_origin(text: str) -> bool:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return False
    scheme, _, port = found.groups()
    return port is None or (port != _DEFAULT_PORTS.get(scheme) and int(port) <= 65535)


def _refuse() -> ValueError:
    return ValueError("not allowed")


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _of(unit: str) -> str:
    return f" {unit}" if unit else ""
