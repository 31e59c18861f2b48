"""Where a request carries its token: in ``Authorization``, in a cookie, or in the query.

The first that is present decides; a bad one is not rescued by the next, and none is taken when it
stands twice, because two programs on the way would choose differently.

A browser sends a cookie with any request, also with one that a foreign page has caused. So with a
cookie the request must come from the server's own origin or one on the CORS list (`is_cross_site`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote_to_bytes

from tidegate.auth.refusals import refusal

QUERY_TOKEN: Final = "access_token"  # noqa: S105 - RFC 6750, 2.3: the key's name

Source = Literal["header", "cookie", "query"]

_QUERY_TOKEN: Final = QUERY_TOKEN.encode()
_BEARER: Final = b"bearer"
_DEFAULT_PORTS: Final = (b":443", b":80")

RawHeaders = Iterable[tuple[bytes, bytes]]


class Credential(NamedTuple):
    """A token as it came, and its place in the request. Its `repr` shows no token."""

    source: Source
    token: bytes

    def __repr__(self) -> str:
        return f"Credential({self.source})"


def find_credential(
    headers: RawHeaders, query_tokens: list[bytes], cookie: bytes
) -> Credential | None:
    """The credential of a request; ``None`` where it has none.

    Names of `headers` are in lower case; `query_tokens` are those cut from the query, none where
    they are not taken; `cookie` is the cookie's name. An ``Authorization`` of another scheme is not
    ours and is passed over. Raises `CallerError` for a credential that stands twice.
    """
    authorization = in_cookie = None
    for name, value in headers:
        if name == b"authorization":
            authorization = _single(authorization, value.strip(b" \t"), "Authorization")
        elif name == b"cookie":
            for found in _cookies(value, cookie):
                in_cookie = _single(in_cookie, found, "cookie")
    in_query = None
    for found in query_tokens:
        in_query = _single(in_query, found, QUERY_TOKEN)
    if authorization is not None:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == _BEARER:
            return Credential("header", token.strip(b" "))
    if in_cookie is not None:
        return Credential("cookie", in_cookie)
    return None if in_query is None else Credential("query", in_query)


def cut_tokens(query: bytes) -> tuple[bytes, list[bytes]]:
    """The raw `query` without tokens, and the tokens that stood in it."""
    # Without one of these no key can be the token's, in any spelling.
    if _QUERY_TOKEN not in query and b"%" not in query:
        return query, []
    rest: list[bytes] = []
    tokens: list[bytes] = []
    for part in query.split(b"&"):
        key, _, value = part.partition(b"=")
        if key == _QUERY_TOKEN or (b"%" in key and unquote_to_bytes(key) == _QUERY_TOKEN):
            tokens.append(value)
        else:
            rest.append(part)
    return (b"&".join(rest), tokens) if tokens else (query, [])


def is_cross_site(headers: RawHeaders, method: str, listed: Collection[bytes]) -> bool:
    """Whether a request with a cookie may have been caused by a foreign page.

    `listed` are the origins that may read answers with credentials. The server's own origin is
    known by its host only: behind a proxy that ends TLS the scheme is not. A GET of the own origin
    carries no ``Origin``, and old browsers send no ``Sec-Fetch-Site``: such a request is let in,
    since a foreign page could not read the answer. A POST changes something, and every browser
    sends ``Origin`` with it (WHATWG Fetch, 3.2), so there it must stand.
    """
    found: dict[bytes, list[bytes]] = {b"origin": [], b"sec-fetch-site": [], b"host": []}
    for name, value in headers:
        if name in found:
            found[name].append(value.strip(b" \t"))
    origins, sites, hosts = found.values()
    if origins:
        return not (len(origins) == 1 and _is_ours(origins[0], hosts, listed))
    if sites:
        return any(site not in (b"same-origin", b"none") for site in sites)
    return method not in ("GET", "HEAD")


def _is_ours(origin: bytes, hosts: list[bytes], listed: Collection[bytes]) -> bool:
    if origin in listed:
        return True
    scheme, found, host = origin.partition(b"://")
    if not found or scheme not in (b"https", b"http") or len(hosts) != 1:
        return False
    return _without_default_port(host) == _without_default_port(hosts[0])


def _without_default_port(host: bytes) -> bytes:
    host = host.lower()
    for port in _DEFAULT_PORTS:
        host = host.removesuffix(port)
    return host


def _cookies(header: bytes, name: bytes) -> list[bytes]:
    pairs = (pair.strip(b" \t").partition(b"=") for pair in header.split(b";"))
    return [value for key, _, value in pairs if key == name]


def _single(before: bytes | None, value: bytes, field: str) -> bytes:
    if before is not None:
        raise refusal("doubled_credential", "stands more than once in the request", field)
    return value
