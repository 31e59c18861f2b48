"""Kinds of settings that only the sidecar has, made from the contract's."""

from __future__ import annotations

from tidegate.contract.kinds import Kind


def or_empty(kind: Kind, meaning: str) -> Kind:
    """The same, or nothing, which is read as ``None`` and means `meaning`."""

    def parse(text: str) -> object:
        return None if text == "" else kind.parse(text)

    return Kind(f"{kind.allowed}, or empty ({meaning})", parse)


def or_word(word: str, kind: Kind) -> Kind:
    """The same, or one word that stands for itself."""

    def parse(text: str) -> object:
        return word if text == word else kind.parse(text)

    return Kind(f"{word} or {kind.allowed}", parse)


def several(kind: Kind) -> Kind:
    """One or more with commas between them; stays one text."""

    def parse(text: str) -> str:
        for one in text.split(","):
            kind.parse(one.strip())
        return text

    return Kind(f"{kind.allowed} (several with commas)", parse)


def switch() -> Kind:
    """``on`` or ``off``."""
    return Kind("on or off", lambda text: bool(["off", "on"].index(text)))
