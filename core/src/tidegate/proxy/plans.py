"""How one answer reaches its client: in chunks or not, and whether the connection is kept.

An event stream of unknown length is sent in chunks even where the application ends it with its
connection, so that its end can be told from a cut. An HTTP/1.0 client knows no chunks. Endless
streams never keep a connection: a kept one would bring the client back to the same pod.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.proxy.heads import Request, Response
from tidegate.proxy.kinds import Kind


@dataclass(frozen=True, slots=True)
class Plan:
    """`frames`: the body is sent in chunks. `keep`: the client may send another request.

    `shows_its_end`: the client can tell a complete body from one that was broken off.
    """

    kind: Kind
    frames: bool
    keep: bool
    shows_its_end: bool

    @property
    def is_endless(self) -> bool:
        """Whether it is let go at a slot."""
        return self.kind in ("endless", "opaque")


def plan_answer(request: Request, response: Response, kind: Kind, *, closing: bool) -> Plan:
    """The plan for an answer of `kind`; `closing`: the pod keeps no connection."""
    sized = response.length is not None or not response.has_body
    frames = bool(request.minor) and not sized and (response.is_chunked or kind != "plain")
    shows = frames or sized
    keep = request.keep_alive and not closing and shows and kind not in ("endless", "opaque")
    return Plan(kind, frames, keep, shows)
