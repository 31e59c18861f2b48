"""Which pages of other origins may read an answer: CORS by an allow-list (WHATWG Fetch, 3.3).

An origin is compared as a whole and echoed only from the list, so nothing a caller sends can reach
a response header by way of it. Listed origins may show credentials (cookies, `Authorization`);
``*`` lets every page read, without them. With an empty list there is no header at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from tidegate.contract.kinds import ANY_ORIGIN
from tidegate.contract.names import HEADER_LAST_EVENT_ID
from tidegate.wire.http import Headers

PREFLIGHT_MAX_AGE_S: Final = 7200
"""How long a browser need not ask again; Chromium keeps no answer longer than two hours."""

_METHODS: Final = b"GET, HEAD, POST"
_USUAL_HEADERS: Final = f"{HEADER_LAST_EVENT_ID}, Cache-Control, Authorization".encode()
_MAX_HEADERS_BYTES: Final = 1024
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKENS: Final = re.compile(rb"%b([ \t]*,[ \t]*%b)*" % (_TOKEN, _TOKEN))  # RFC 9110, 5.6

_READABLE: Final = (b"access-control-expose-headers", b"Retry-After, WWW-Authenticate")
_VARY: Final = (b"vary", b"Origin")
_VARY_PREFLIGHT: Final = (
    b"vary",
    b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
)


class CorsPolicy:
    """The allow-list; `origins` as `tidegate.contract.kinds.origins` reads them."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        listed = [origin.encode() for origin in origins]
        anyone = ANY_ORIGIN.encode() in listed
        named = [origin for origin in listed if origin != ANY_ORIGIN.encode()]
        self.is_on = bool(listed)
        self._allowed = {origin: _allow(origin, credentials=True) for origin in named}
        self._others = _allow(ANY_ORIGIN.encode(), credentials=False) if anyone else ()
        # Where all get the same answer, a cache may give it to all.
        vary = (_VARY,) if named else ()
        readable = (_READABLE,)
        self._answers = {
            origin: (*allow, *readable, *vary) for origin, allow in self._allowed.items()
        }
        self._other_answers = (*self._others, *(readable if anyone else ()), *vary)

    def of(self, origin: bytes) -> Headers:
        """What any answer to a request of `origin` carries besides (empty: it has named none)."""
        return self._answers.get(origin, self._other_answers)

    def all_answers(self) -> Mapping[bytes, Headers]:
        """The same for each listed origin, for response heads that are made in advance."""
        return self._answers

    def preflight(self, origin: bytes, wanted_headers: bytes) -> Headers | None:
        """Headers of the answer (204) to a preflight; ``None``: the origin is not allowed.

        `wanted_headers` is the value of ``Access-Control-Request-Headers``: a page may send
        headers of its own, which mean nothing here and are let through by their names.
        """
        allow = self._allowed.get(origin, self._others)
        if not allow:
            return None
        sound = len(wanted_headers) <= _MAX_HEADERS_BYTES and _TOKENS.fullmatch(wanted_headers)
        return (
            *allow,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", wanted_headers if sound else _USUAL_HEADERS),
            (b"access-control-max-age", b"%d" % PREFLIGHT_MAX_AGE_S),
            _VARY_PREFLIGHT,
        )


def header_value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The value of a header (name in lower case) that stands exactly once, else nothing."""
    values = [value for known, value in headers if known == name]
    return values[0].strip(b" \t") if len(values) == 1 else b""


def _allow(origin: bytes, *, credentials: bool) -> Headers:
    allow = (b"access-control-allow-origin", origin)
    return (allow, (b"access-control-allow-credentials", b"true")) if credentials else (allow,)
