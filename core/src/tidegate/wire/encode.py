"""Encoding of events, comments and the contract's own events into bytes of an event stream.

Fields are written in the order retry, id, event, data. A value is always set off by one space,
so that data with a leading space survives (WHATWG: exactly one is removed).
"""

from __future__ import annotations

import json
import re
from dataclasses import fields

from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import (
    CONNECTED,
    CURSOR,
    GAP,
    MIN_RETRY_MS,
    SHUTDOWN,
    TOKEN_EXPIRING,
    Connected,
    Gap,
    Shutdown,
    TokenExpiring,
)

HEARTBEAT = b":\n"
"""A bare comment line. No blank line follows it: some parsers (httpx-sse) dispatch a phantom
event at every blank line once they have seen an id."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LINE_BREAK = re.compile("\r\n|\r|\n")
_BREAKS_A_LINE = re.compile("[\r\n\0]")


def encode_event(
    data: str, *, event: str | None = None, event_id: str | None = None, retry_ms: int | None = None
) -> bytes:
    """Encode one event, blank line included.

    `data` is split at CR, LF and CRLF into ``data:`` lines. `event` and `event_id` must not
    contain CR, LF or NUL, and nothing half a surrogate pair: `CallerError`, naming the field.
    """
    lines = []
    if retry_ms is not None:
        lines.append(_retry_line(retry_ms))
    if event_id is not None:
        lines.append(f"id: {_one_line(event_id, 'id')}\n")
    if event:
        lines.append(f"event: {_one_line(event, 'event')}\n")
    if "\n" in data or "\r" in data:
        lines += [f"data: {line}\n" for line in _LINE_BREAK.split(data)]
    else:
        lines.append(f"data: {data}\n")
    lines.append("\n")
    return _utf8("".join(lines), data)


def encode_retry(retry_ms: int) -> bytes:
    """Encode a ``retry:`` line alone; it takes effect at its line end (WHATWG 9.2.6)."""
    return _retry_line(retry_ms).encode()


class ConnectedEncoder:
    """Encodes `connected` for the streams of one pod, the first event of each.

    What they share is encoded once: after a crash very many streams come at once. Raises
    `CallerError` where `pod` holds half a surrogate pair.
    """

    def __init__(self, pod: str, heartbeat_ms: int) -> None:
        values = {
            "pod": _COMPACT.encode(pod).replace("%", "%%"),
            "stream": '"%x"',
            "heartbeat_ms": f"{heartbeat_ms}",
            "spread_ms": "%d",
            "replay": "%s",
            "handover": "true",
        }
        members = ",".join(f'"{field.name}":{values[field.name]}' for field in fields(Connected))
        encoded = encode_event(f"{{{members}}}", event=CONNECTED, event_id="%s")
        self._pattern = encoded.decode()

    def encode(
        self, *, event_id: str, stream: int, spread_ms: int, replay: bool, retry_ms: int | None
    ) -> bytes:
        """The event for the stream with number `stream`; `retry_ms` ``None`` sends no ``retry:``.

        `event_id` is a cursor, see `Connected` for the rest.
        """
        text = self._pattern % (event_id, stream, spread_ms, "true" if replay else "false")
        return (text if retry_ms is None else _retry_line(retry_ms) + text).encode()


def encode_gap(gap: Gap) -> bytes:
    """Encode the notice that events are lost; its id is the end of the hole."""
    return _encode_json(gap.to_json(), GAP, gap.end, None)


def encode_cursor(event_id: str, retry_ms: int | None = None) -> bytes:
    """Encode a bare position, optionally with a newly assigned ``retry:``."""
    return _encode_json({}, CURSOR, event_id, retry_ms)


def encode_shutdown(shutdown: Shutdown, event_id: str | None) -> bytes:
    """Encode the goodbye; a bounce has no `event_id`.

    ``retry:`` carries `reconnect_after_ms` unless that is 0, which would be a hot loop in
    browsers.
    """
    retry_ms = shutdown.reconnect_after_ms or None
    return _encode_json(shutdown.to_json(), SHUTDOWN, event_id, retry_ms)


def encode_token_expiring(notice: TokenExpiring) -> bytes:
    """Encode the notice that the token ends soon; it is no position, so it has no id."""
    return _encode_json(notice.to_json(), TOKEN_EXPIRING, None, None)


def _encode_json(document: object, event: str, event_id: str | None, retry_ms: int | None) -> bytes:
    data = _COMPACT.encode(document)
    return encode_event(data, event=event, event_id=event_id, retry_ms=retry_ms)


def _retry_line(retry_ms: int) -> str:
    if retry_ms < MIN_RETRY_MS:
        raise CallerError("bad_retry", f"must be at least {MIN_RETRY_MS}, is {retry_ms}", "retry")
    return f"retry: {retry_ms}\n"


def _one_line(text: str, field: str) -> str:
    if _BREAKS_A_LINE.search(text):
        raise CallerError(f"bad_{field}", "must not contain CR, LF or NUL", field)
    return text


def _utf8(text: str, data: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        inside = "data" if error.object[error.start] in data else "event"
        raise CallerError("bad_text", "holds half a surrogate pair", inside) from None
