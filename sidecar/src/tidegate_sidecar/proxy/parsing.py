"""Heads as httptools (llhttp, strict) reads them, and then the rules of `tidegate.proxy.heads`.

Only heads: a parser that sees every byte of every body costs a proxy five sixths of its throughput.
A head is given to a new parser as a whole, so no state is left from one message to the next.
"""

from __future__ import annotations

from typing import Final

import httptools

from tidegate.contract.errors import CallerError
from tidegate.proxy.heads import (
    Field,
    Request,
    Response,
    head_problem,
    read_request,
    read_response,
    request_problem,
)
from tidegate_sidecar.proxy.failures import bad_answer

_STATUS_LINE: Final = len(b"HTTP/1.1 200 ")


class _Head:
    """The callbacks of httptools (its names)."""

    __slots__ = ("headers", "is_complete", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[Field] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def parse_request(head: bytes) -> Request:
    """The request with this whole head; raises `CallerError`."""
    problem = request_problem(head)
    found = _Head()
    parser = httptools.HttpRequestParser(found)
    if problem is None:
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # the head is complete; whether it is taken up the application decides
        except httptools.HttpParserError as error:
            problem = str(error) or "is not HTTP"
    if problem is not None or not found.is_complete:
        raise CallerError("bad_request", problem or "is not HTTP")
    version = parser.get_http_version()
    return read_request(parser.get_method(), found.url, version, found.headers)


def parse_response(head: bytes, method: bytes) -> Response:
    """The answer with this whole head to a request with `method`; raises `CallerError` (502)."""
    problem = head_problem(head)
    found = _Head()
    parser = httptools.HttpResponseParser(found)
    if problem is None:
        try:
            parser.feed_data(head)
        except httptools.HttpParserError as error:
            # Behind a 101 the parser stops, which is an error to it.
            problem = None if found.is_complete else str(error)
    if not found.is_complete:
        raise bad_answer(problem or "not HTTP")
    reason = head[_STATUS_LINE : head.index(b"\r\n")]
    version = parser.get_http_version()
    return read_response(parser.get_status_code(), reason, version, found.headers, method)
