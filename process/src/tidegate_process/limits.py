"""The bounds of a port, declared once: every listener has all of them, and docs/limits.md lists
them.

A bound is a field with its meaning and the reasons under which the metric
``tidegate_port_refused_total`` counts what it cost a peer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

_HELP: Final = "help"
_REASONS: Final = "reasons"


def _limit(default: Any, help_: str, *reasons: str) -> Any:
    return field(default=default, metadata={_HELP: help_, _REASONS: reasons})


@dataclass(frozen=True, slots=True)
class PortLimits:
    """The bounds of one port; times are in seconds."""

    connections: int = _limit(
        1024,
        "Connections, without streams; the one idle the longest is ended, also where the process "
        "is short of descriptors.",
        "connections",
        "descriptors",
    )
    kept: int = _limit(0, "Of these, kept for probes and hooks; others get 503.", "busy")
    kept_paths: frozenset[bytes] = _limit(frozenset(), "The requests that may use them.")
    handshake_s: float = _limit(5.0, "A TLS handshake.", "slow_handshake", "bad_handshake")
    head_bytes: int = _limit(16 * 1024, "A request's line and headers together.", "large_head")
    headers: int = _limit(128, "Headers of a request.", "many_headers")
    head_s: float = _limit(
        10.0,
        "From a connection's begin, or a request's first byte, to its head's end.",
        "slow_head",
    )
    framing_bytes: int = _limit(
        16 * 1024, "Chunk heads and trailer between two parts of a body.", "not_http"
    )
    body_bytes: int = _limit(
        16 * 2**20, "The bodies of all requests together; the largest is ended.", "body_bytes"
    )
    request_s: float = _limit(60.0, "From a request's head to its body's end.", "slow_body")
    write_s: float = _limit(30.0, "An answer of which nothing is read.", "unread_answer")
    keep_alive_s: int = _limit(5, "A connection that waits for its next request.")
    waiting: int = _limit(
        1, "Requests that wait behind the one in service; the rest is dropped.", "pipelined"
    )


class Limit(NamedTuple):
    """A bound as the documentation lists it."""

    name: str
    help: str
    reasons: tuple[str, ...]


def declared() -> Iterator[Limit]:
    """All bounds of a port, in order."""
    for each in fields(PortLimits):
        yield Limit(each.name, each.metadata[_HELP], each.metadata[_REASONS])


REASONS: Final = tuple(dict.fromkeys(r for limit in declared() for r in limit.reasons))
"""All that a port may count a refusal under."""
