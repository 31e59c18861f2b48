"""Request and response heads: what a strict reader understands, and what is sent on.

Two readers of one head must not disagree on where the message ends, or a request can be smuggled
inside another. So everything on which readers are known to disagree is refused: lines that do not
end with CRLF, folded lines, control characters, a length stated twice or in two ways, a coding that
is not exactly ``chunked`` (RFC 9112, sections 5.2, 6.1 and 11.2). What is sent on is written anew
from what was understood; fields that concern one connection only are left out (RFC 9110, 7.6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.contract.errors import CallerError
from tidegate.proxy.bodies import Body, Chunked, Sized, UntilClose

Field = tuple[bytes, bytes]

HEAD_END: Final = b"\r\n\r\n"
EVENT_STREAM: Final = b"text/event-stream"
HEADER_STREAM_KIND: Final = b"tidegate-stream"
"""``finite`` or ``endless``, from the application or a client: overrides what is inferred."""

_REQUEST_LINE: Final = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9.]+\r\n")
_BAD: Final = re.compile(rb"\r\n[ \t]|(?<!\r)\n|\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_TARGET: Final = re.compile(rb"/[!-~\x80-\xff]*|\*")
_HOST: Final = re.compile(rb"[!-~]*")

FieldLine = tuple[bytes, bytes, bytes]
"""A field: its name in lower case, its name as it came, its value."""

_PER_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"upgrade",
     b"transfer-encoding", b"http2-settings"}
)  # fmt: skip
"""Fields that concern one connection only (RFC 9110, 7.6.1)."""

_NOT_NOMINATED: Final = frozenset(
    {b"host", b"content-length", b"authorization", b"cookie", b"content-type", b"last-event-id"}
)
"""A client may not have these dropped by naming them in ``Connection``."""

_H2C: Final = frozenset({b"h2c", b"h2", b"http/2", b"http/2.0"})


def head_problem(head: bytes) -> str | None:
    """What is wrong with the bytes of a head, or of its beginning; ``None``: nothing so far."""
    found = _BAD.search(head)
    if found is None or (found[0] == b"\r" and found.end() == len(head)):
        return None
    if found[0].startswith(b"\r\n"):
        return "a header field must not be folded over several lines"
    if found[0] in (b"\r", b"\n"):
        return "lines must end with CRLF"
    return "a control character is not allowed"


def request_problem(head: bytes) -> str | None:
    """The same for the whole head of a request."""
    if _REQUEST_LINE.match(head) is None:
        return "the request line must be METHOD TARGET HTTP/1.1, with one space between them"
    return head_problem(head)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as understood. `fields` are those that are not of this connection alone."""

    method: bytes
    target: bytes
    minor: int
    fields: tuple[FieldLine, ...]
    length: int | None
    is_chunked: bool
    keep_alive: bool
    upgrade: bytes | None
    accepts_events: bool
    field_count: int

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.is_chunked or bool(self.length)

    def body(self) -> Body:
        """The body that follows."""
        return Chunked() if self.is_chunked else Sized(self.length or 0)

    def value(self, name: bytes) -> bytes | None:
        """The first value of a field by its lower-case name."""
        return next((value for lower, _, value in self.fields if lower == name), None)


def read_request(method: bytes, target: bytes, version: str, headers: Sequence[Field]) -> Request:
    """Understand a request; raises `CallerError` for one that must not reach the application."""
    if version not in ("1.0", "1.1"):
        raise CallerError("bad_version", "HTTP/1.0 or HTTP/1.1", status=505)
    if method == b"CONNECT":
        raise CallerError("bad_method", "CONNECT is not supported", status=501)
    if _TARGET.fullmatch(target) is None:
        raise CallerError("bad_target", "must be a path", "target")
    minor = int(version[2])
    lowered = [(name.lower(), name, value) for name, value in headers]
    framing = _framing(lowered)
    hosts = [value for lower, _, value in lowered if lower == b"host"]
    if len(hosts) > 1 or (minor and not hosts) or (hosts and not _HOST.fullmatch(hosts[0])):
        raise CallerError("bad_host", "there must be one", "host")
    if framing.is_chunked and not minor:
        raise CallerError("bad_framing", "HTTP/1.0 knows no chunks", "transfer-encoding")
    tokens = _tokens(lowered)
    upgrade = None
    if b"upgrade" in tokens and minor and not framing.is_chunked and not framing.length:
        offered = b",".join(value for lower, _, value in lowered if lower == b"upgrade")
        # h2c would hide the requests on it; an offer may be ignored (RFC 9110, 7.8).
        upgrade = offered if offered and offered.lower() not in _H2C else None
    dropped = _PER_CONNECTION | (tokens - _NOT_NOMINATED)
    if not minor:
        dropped |= {b"expect"}
    return Request(
        method,
        target,
        minor,
        tuple(field for field in lowered if field[0] not in dropped),
        framing.length,
        framing.is_chunked,
        bool(minor) and b"close" not in tokens,
        upgrade,
        any(lower == b"accept" and EVENT_STREAM in value.lower() for lower, _, value in lowered),
        len(lowered),
    )


@dataclass(frozen=True, slots=True)
class Response:
    """A response as understood; `reason` is the rest of its first line."""

    status: int
    reason: bytes
    fields: tuple[FieldLine, ...]
    length: int | None
    is_chunked: bool
    has_body: bool
    keep_alive: bool
    upgrade: bytes | None
    is_event_stream: bool
    is_encoded: bool
    stream_kind: bytes | None

    @property
    def is_interim(self) -> bool:
        """Whether another head follows it (RFC 9110, 15.2); a 101 ends HTTP."""
        return self.status < 200 and self.status != 101

    def body(self) -> Body:
        """The body that follows."""
        if not self.has_body:
            return Sized(0)
        if self.is_chunked:
            return Chunked()
        return UntilClose() if self.length is None else Sized(self.length)


def read_response(
    status: int, reason: bytes, version: str, headers: Sequence[Field], method: bytes
) -> Response:
    """Understand the answer to a request with `method`; raises `CallerError` (502)."""
    lowered = [(name.lower(), name, value) for name, value in headers]
    try:
        framing = _framing(lowered)
    except CallerError as error:
        raise CallerError("bad_answer", f"{error.field}: {error.detail}", status=502) from None
    if framing.is_chunked and version == "1.0":
        raise CallerError("bad_answer", "HTTP/1.0 knows no chunks", status=502)
    tokens = _tokens(lowered)
    keep = b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)
    dropped = _PER_CONNECTION | {HEADER_STREAM_KIND} | (tokens - _NOT_NOMINATED)
    values = {lower: value for lower, _, value in lowered}
    kind = values.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return Response(
        status,
        reason,
        tuple(field for field in lowered if field[0] not in dropped),
        framing.length,
        framing.is_chunked,
        method != b"HEAD" and status not in (204, 304) and status >= 200,
        keep,
        values.get(b"upgrade"),
        kind == EVENT_STREAM,
        values.get(b"content-encoding", b"identity").strip().lower() != b"identity",
        values.get(HEADER_STREAM_KIND),
    )


@dataclass(frozen=True, slots=True)
class _Framing:
    length: int | None
    is_chunked: bool


def _framing(lowered: Iterable[FieldLine]) -> _Framing:
    """How the message's body is framed (RFC 9112, 6.3); raises `CallerError`."""
    length: int | None = None
    is_chunked = False
    for lower, _, value in lowered:
        if lower == b"content-length":
            if length is not None:
                raise CallerError("bad_framing", "is given twice", "content-length")
            if _LENGTH.fullmatch(value) is None:
                raise CallerError("bad_framing", "must be a number", "content-length")
            length = int(value)
        elif lower == b"transfer-encoding":
            if is_chunked or value.lower() != b"chunked":
                raise CallerError("bad_framing", "must be chunked, once", "transfer-encoding")
            is_chunked = True
    if is_chunked and length is not None:
        detail = "must not stand beside transfer-encoding"
        raise CallerError("bad_framing", detail, "content-length")
    return _Framing(length, is_chunked)


def _tokens(lowered: Iterable[FieldLine]) -> frozenset[bytes]:
    """What ``Connection`` names, in lower case."""
    listed = b",".join(value for lower, _, value in lowered if lower == b"connection")
    if not listed:
        return frozenset()
    return frozenset(token.strip().lower() for token in listed.split(b","))
