"""Which topics a token allows: patterns, compiled once per token and matched in one pass.

A pattern is a topic, in which a segment between slashes may be ``*`` (any one segment) and the last
one ``**`` (one or more). ``{sub}`` stands for the token's subject. No regular expressions: a
pattern comes from outside, and matching must take linear time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tidegate.contract.names import is_topic

MAX_PATTERNS: Final = 64
MAX_PATTERN_BYTES: Final = 128

_ONE: Final = "*"
_REST: Final = "**"
_SUBJECT: Final = "{sub}"


class TopicPatterns:
    """A set of patterns.

    `patterns` may hold ``{sub}`` only where a `subject` is given, which must be a client id (no
    slash, no star, so that it cannot widen a pattern). Raises `ValueError` for a pattern that is
    none; the message names the rule.
    """

    __slots__ = ("_exact", "_segments")

    def __init__(self, patterns: Iterable[str] = (), subject: str | None = None) -> None:
        exact: set[str] = set()
        segments: list[tuple[str, ...]] = []
        for count, pattern in enumerate(patterns, start=1):
            if count > MAX_PATTERNS:
                raise ValueError(f"at most {MAX_PATTERNS} patterns")
            if is_topic(pattern):  # nearly all are just that
                exact.add(pattern)
                continue
            text = pattern if subject is None else pattern.replace(_SUBJECT, subject)
            parts = _segments(pattern, text)
            if _ONE in parts or _REST in parts:
                segments.append(parts)
            else:
                exact.add(text)
        self._exact = frozenset(exact)
        self._segments = tuple(dict.fromkeys(segments))

    def allows(self, topic: str) -> bool:
        """Whether one of the patterns matches `topic`."""
        if topic in self._exact:
            return True
        if not self._segments:
            return False
        parts = tuple(topic.split("/"))
        return any(_matches(pattern, parts) for pattern in self._segments)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TopicPatterns)
            and self._exact == other._exact
            and self._segments == other._segments
        )

    def __hash__(self) -> int:
        return hash((self._exact, self._segments))

    def __bool__(self) -> bool:
        return bool(self._exact or self._segments)


def _segments(pattern: str, text: str) -> tuple[str, ...]:
    if len(pattern.encode(errors="replace")) > MAX_PATTERN_BYTES:
        raise ValueError(f"a pattern has at most {MAX_PATTERN_BYTES} bytes")
    parts = tuple(text.split("/"))
    if _REST in parts[:-1]:
        raise ValueError(f"{_REST} may only be the last segment")
    # With a letter for each star a pattern has the form of a topic.
    plain = "/".join("x" if part in (_ONE, _REST) else part for part in parts)
    if not is_topic(plain):
        raise ValueError(f"a pattern is a topic with whole segments {_ONE} and a last {_REST}")
    return parts


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if pattern[-1] == _REST:
        pattern = pattern[:-1]
        if len(parts) <= len(pattern):
            return False
    elif len(parts) != len(pattern):
        return False
    return all(want in (_ONE, part) for want, part in zip(pattern, parts, strict=False))
