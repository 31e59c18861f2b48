"""The requests of one client: checked when it is made, so that what cannot work is no retry.

The query is the application's: it is appended to as it stands and never encoded again, as a signed
URL would no longer match its signature.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import httpx2

from tidegate.contract.errors import SettingsError
from tidegate.contract.names import HEADER_LAST_EVENT_ID, QUERY_HANDOVER
from tidegate_client.actions import Open
from tidegate_client.decisions import Repeat
from tidegate_client.http_client import HttpClient, HttpResponse, HttpSource

Headers = Mapping[str, str | None]
"""Header fields by name; ``None`` leaves one out."""

HeadersSource = Headers | Callable[[int], Headers | Awaitable[Headers]]
"""Request headers, or a function that makes them for every attempt; its argument is the 401 or
403 that refused the last ones, else 0."""

IDEMPOTENCY_KEY: Final = "idempotency-key"
"""The header that allows to repeat a request that is not safe (draft-ietf-httpapi-idempotency-key-
header)."""

_STREAM_HEADERS: Final[Headers] = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ILLEGAL: Final = re.compile(rb"[\x00\n\v\f\r]")
"""What no header value may hold; VT and FF are legal to fetch, but not to h11."""
_POSITION: Final = re.compile(rb"[^\x00-\x08\n-\x1f\x7f]{1,4096}")
"""An id that a header can carry; a server refuses a head that is longer than it reads."""
_BAD_HOST: Final = re.compile(r"[%\s]")


class ProviderError(Exception):
    """Carries what the application's provider of headers raised; it may pass, as a network does."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Requester:
    """Makes and sends the requests of one client.

    Raises `SettingsError` for a URL, header, method or body that can never be sent.
    """

    def __init__(
        self,
        url: object,
        *,
        headers: HeadersSource | None,
        method: str | None,
        body: str | bytes | None,
        http: HttpSource | None,
    ) -> None:
        self.target, self.query = split_url(url, relative=callable(http) or has_base_url(http))
        self.method = _checked_method(method, body)
        self._body = body.encode() if isinstance(body, str) else body
        self._provider = headers if callable(headers) else None
        self._headers = {} if headers is None or callable(headers) else headers
        self._has_key = IDEMPOTENCY_KEY in merged(self._headers)
        if http is not None and not callable(http):
            _check_http(http, "must be an httpx2.AsyncClient or a function that makes one")
        self._http_source = http
        self._own_http: HttpClient | None = None

    @property
    def renewable(self) -> bool:
        """Whether new headers can be had after a refusal."""
        return self._provider is not None

    @property
    def repeat(self) -> Repeat:
        """What may be asked for again: a POST might otherwise be carried out twice."""
        if self.method in _SAFE_METHODS:
            return "always"
        return "broken" if self._has_key else "unanswered"

    async def open(self, opening: Open) -> HttpResponse:
        """Ask for a stream; the response's headers have come."""
        fields = merged(_STREAM_HEADERS, await self.made_headers(opening.renew))
        if position := resume_header(opening.last_event_id):
            fields[HEADER_LAST_EVENT_ID.lower()] = (HEADER_LAST_EVENT_ID.encode(), position)
        query = self.query
        if opening.handover:
            query += b"&" if query else b""
            query += f"{QUERY_HANDOVER}=1".encode()
        http = self._http()
        request = http.build_request(
            self.method, self.target, content=self._body, headers=[*fields.values()], timeout=None
        )
        _set_query(request, query)
        response = await http.send(request, stream=True, follow_redirects=True)
        return cast("HttpResponse", response)

    async def post(
        self, target: str, content: bytes, refused: int, timeout_s: float
    ) -> HttpResponse:
        """Send a JSON document to `target`, with the same query and headers."""
        fields = merged(await self.made_headers(refused), {"Content-Type": "application/json"})
        http = self._http()
        request = http.build_request(
            "POST", target, content=content, headers=[*fields.values()], timeout=timeout_s
        )
        _set_query(request, self.query)
        # The answer's body is not read: it has no bound.
        response = cast("HttpResponse", await http.send(request, stream=True))
        await response.aclose()
        return response

    async def aclose(self) -> None:
        """Close the HTTP client, unless it was given."""
        http, self._own_http = self._own_http, None
        if http is not None:
            await http.aclose()

    async def made_headers(self, refused: int) -> Headers:
        """The application's headers; raises `ProviderError` for what its provider raised."""
        if self._provider is None:
            return self._headers
        try:
            made = self._provider(refused)
            return await made if inspect.isawaitable(made) else made
        except Exception as error:
            raise ProviderError(error) from error

    def _http(self) -> HttpClient:
        if self._own_http is not None:
            return self._own_http
        source = self._http_source
        if source is not None and not callable(source):
            return source
        made = cast("HttpClient", httpx2.AsyncClient()) if source is None else source()
        _check_http(made, "the function must make an httpx2.AsyncClient")
        self._own_http = made
        return made


def split_url(url: object, *, relative: bool) -> tuple[str, bytes]:
    """A URL without its query and fragment, and the query, which is encoded only where it must be.

    Raises `SettingsError` for what is no URL of an event stream. `relative`: there is a base URL.
    """
    if not isinstance(url, str) and type(url).__name__ != "URL":
        raise SettingsError("url", f"must be a string or a URL, is {type(url).__name__}")
    try:
        parsed = httpx2.URL(str(url))
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise SettingsError("url", f"is not a URL: {error}") from error
    if parsed.is_relative_url and relative and not parsed.host:
        return str(parsed.copy_with(query=None, fragment=None)), parsed.query
    if parsed.scheme not in ("http", "https"):
        raise SettingsError("url", f"must begin with http:// or https://, not {parsed.scheme!r}")
    if not parsed.host or (":" not in parsed.host and _BAD_HOST.search(parsed.host)):
        raise SettingsError("url", f"has no usable host: {parsed.host!r}")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise SettingsError("url", f"has no usable port: {parsed.port}")
    return str(parsed.copy_with(query=None, fragment=None)), parsed.query


def has_base_url(http: object) -> bool:
    """Whether relative URLs have a meaning with this HTTP client."""
    return str(getattr(http, "base_url", "")) != ""


def merged(*sources: Headers) -> dict[str, tuple[bytes, bytes]]:
    """Header fields by lower-case name, later ones over earlier ones, as they can be sent.

    Raises `SettingsError` that names the field, and never shows a value.
    """
    fields: dict[str, tuple[bytes, bytes]] = {}
    for source in sources:
        if not isinstance(source, Mapping):
            raise SettingsError("headers", f"must be a mapping, is {type(source).__name__}")
        for name, value in source.items():
            if not isinstance(name, str) or not _TOKEN.fullmatch(name):
                raise SettingsError("headers", f"{name!r} cannot be a header's name")
            if value is None:
                continue
            if not isinstance(value, str):
                problem = f"the value of {name} must be a string, is {type(value).__name__}"
                raise SettingsError("headers", problem)
            sent = value.encode(errors="replace").strip(b"\t\n\r ")
            if _ILLEGAL.search(sent):
                problem = f"the value of {name} holds a character that no header can carry"
                raise SettingsError("headers", problem)
            fields[name.lower()] = (name.encode(), sent)
    return fields


def _checked_method(method: str | None, body: object) -> str:
    if body is not None and not isinstance(body, str | bytes):
        problem = f"must be a string or bytes, is {type(body).__name__}: json.dumps it"
        raise SettingsError("body", problem)
    if method is None:
        return "GET" if body is None else "POST"
    if not isinstance(method, str) or not _TOKEN.fullmatch(method):
        raise SettingsError("method", f"must be an HTTP method, is {method!r}")
    if body is not None and method.upper() in ("GET", "HEAD"):
        raise SettingsError("body", f"a {method.upper()} request has none: use method='POST'")
    return method.upper()


def _check_http(http: object, problem: str) -> None:
    # An httpx2.Client, which cannot be awaited, has no `aclose`.
    if not hasattr(http, "build_request") or not hasattr(http, "aclose"):
        raise SettingsError("http", f"{problem}, is {type(http).__name__}")


def _set_query(request: Any, query: bytes) -> None:
    """Put our query in front of the parameters that the HTTP client adds to every request."""
    joined = b"&".join(part for part in (query, request.url.query) if part)
    request.url = request.url.copy_with(query=joined or None)


def resume_header(last_event_id: str) -> bytes:
    """An id as a header can carry it: stripped as fetch does; empty where it cannot.

    It would be refused before anything is sent, or by the server, and every attempt would fail.
    """
    sent = last_event_id.encode(errors="replace")
    return sent.strip(b"\t ") if _POSITION.fullmatch(sent) else b""
