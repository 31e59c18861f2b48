"""Which streams must be allowed to finish, and which may be moved: told apart by their heads.

A *finite* stream is an answer: it ends by itself, cannot be resumed, and a goodbye in it would be
taken for a part of it. An *endless* one lives until something ends it, and its client comes back.
In order, the first that applies:

1. The header ``Tidegate-Stream: finite`` or ``endless`` of the response, then of the request.
2. A path of `Rules.finite_paths`: finite.
3. A method other than GET, or a ``Content-Length``: finite.
4. A path whose last stream ended with a terminal event (`Learnt`): finite.
5. Otherwise endless.

Only a 200 whose media type is ``text/event-stream`` is a stream in this sense; everything else is a
*plain* answer, which must finish like a finite stream. A compressed endless stream is *opaque*:
nothing can be put into it, so it ends at its slot without a goodbye.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from tidegate.proxy.heads import HEADER_STREAM_KIND, Request, Response

Kind = Literal["plain", "finite", "endless", "opaque"]

MOST_PATHS: Final = 1024
"""Paths that are remembered; the oldest are forgotten."""

TAIL_BYTES: Final = 512
"""How much of a stream's end is looked at for its terminal event."""

_TERMINAL: Final = re.compile(
    rb"data: ?\[DONE\]"
    rb"|event: ?(?:done|end|complete|completed|finish|message_stop|response\.completed)[\r\n]"
    rb'|"type": ?"(?:message_stop|response\.completed|RUN_FINISHED|finish|done)"',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Paths whose streams are finite whatever they look like; ``*`` at the end: a prefix."""

    finite_paths: tuple[str, ...] = ()

    def is_finite(self, path: bytes) -> bool:
        """Whether a rule says so."""
        return any(_matches(rule.encode(), path) for rule in self.finite_paths)


class Learnt:
    """The paths whose GET streams were seen to end by a terminal event. Bounded."""

    def __init__(self, most: int = MOST_PATHS) -> None:
        self._most = most
        self._finite: dict[bytes, None] = {}

    def is_finite(self, path: bytes) -> bool:
        """Whether the last stream of the path that the application ended was finite."""
        return path in self._finite

    def ended(self, path: bytes, tail: bytes) -> None:
        """The application has ended a stream of `path`, the last bytes of which are `tail`."""
        if _TERMINAL.search(tail) is None:
            self._finite.pop(path, None)
            return
        self._finite[path] = None
        if len(self._finite) > self._most:
            del self._finite[next(iter(self._finite))]


def kind_of(request: Request, response: Response, rules: Rules, learnt: Learnt) -> Kind:
    """The kind of an answer."""
    is_stream = response.status == 200 and response.has_body and response.is_event_stream
    if not is_stream:
        return "plain"
    said = _said(response.stream_kind) or _said(request.value(HEADER_STREAM_KIND))
    finite = _is_finite(request, rules, learnt) or response.length is not None
    if said is not None:
        finite = said == b"finite"
    if finite:
        return "finite"
    return "opaque" if response.is_encoded or response.length is not None else "endless"


def asks_for_endless(request: Request, rules: Rules, learnt: Learnt) -> bool:
    """Whether a request will, as far as can be known, be answered by an endless stream."""
    said = _said(request.value(HEADER_STREAM_KIND))
    if said is not None:
        return said == b"endless" and request.method == b"GET"
    return request.accepts_events and not _is_finite(request, rules, learnt)


def _is_finite(request: Request, rules: Rules, learnt: Learnt) -> bool:
    path = request.path
    return request.method != b"GET" or rules.is_finite(path) or learnt.is_finite(path)


def _said(value: bytes | None) -> bytes | None:
    said = None if value is None else value.strip().lower()
    return said if said in (b"finite", b"endless") else None


def _matches(rule: bytes, path: bytes) -> bool:
    return path.startswith(rule[:-1]) if rule.endswith(b"*") else path == rule
