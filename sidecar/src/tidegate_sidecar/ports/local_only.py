"""Loopback for programs of this pod or machine, and not for every web page open on it.

A page of any site can send requests to 127.0.0.1 from the browser in which it is open, and
by DNS rebinding (its own name, resolved to 127.0.0.1) it can read the answers. A browser cannot be
made to hide where a request comes from: its name stands in ``Host``, and ``Origin`` and
``Sec-Fetch-Site`` (Fetch Metadata) name what sent it. Programs send neither of the two.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from tidegate.contract.errors import CallerError

Handler = Callable[[Request], Awaitable[Response]]

_OWN_SITES: Final = frozenset({"same-origin", "none"})
"""A page of this very port, and an address typed by a person."""

_PAGE_KINDS: Final = frozenset({"text/plain", "multipart/form-data"})
"""Content types that a page may send anywhere without asking first, and that no API client sends
by default. The third, curl's ``-d``, is distinguished from a page's by ``Origin``."""


def local_only(handler: Handler) -> Handler:
    """`handler` behind `check_local`."""

    async def checked(request: Request) -> Response:
        check_local(request)
        return await handler(request)

    return checked


def check_local(request: Request) -> None:
    """Raise `CallerError` (403) for a request that a web page may have sent."""
    host = request.headers.get("host")
    if host is not None and not _is_loopback(host):
        detail = "must be localhost, 127.0.0.1 or [::1]: other names may be a web page's"
        raise CallerError("foreign_host", detail, "host", status=403)
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        raise CallerError("foreign_origin", "no web page may use this port", "origin", status=403)
    site = request.headers.get("sec-fetch-site")
    if site is not None and site.lower() not in _OWN_SITES:
        detail = "no web page may use this port"
        raise CallerError("foreign_origin", detail, "sec-fetch-site", status=403)


def content_type(request: Request) -> str:
    """The media type of a body, lower case; raises `CallerError` (415) for one of web pages."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _PAGE_KINDS:
        detail = "must be application/json, or application/x-ndjson for several events"
        raise CallerError("bad_content_type", detail, "content-type", status=415)
    return kind


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
