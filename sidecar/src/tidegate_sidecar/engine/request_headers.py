"""What the headers of a request mean for a takeover."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tidegate.contract.names import HEADER_LAST_EVENT_ID

HEAD_END = b"\r\n\r\n"

_LAST_EVENT_ID = HEADER_LAST_EVENT_ID.lower().encode()


class HeaderFacts(NamedTuple):
    """The cursor as received, and what forbids to take the connection over."""

    last_event_id: bytes
    has_body: bool
    upgrades: bool
    expects: bool


def header_facts(headers: Iterable[tuple[bytes, bytes]]) -> HeaderFacts:
    """Read `headers` (names in lower case); of several cursors the last one counts."""
    last_event_id = b""
    has_body = upgrades = expects = False
    for name, value in headers:
        if name == _LAST_EVENT_ID:
            last_event_id = value
        elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            has_body = True
        elif name == b"upgrade":
            upgrades = True
        elif name == b"expect":
            expects = True
    return HeaderFacts(last_event_id, has_body, upgrades, expects)
