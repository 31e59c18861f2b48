"""uvicorn's HTTP/1.1 protocol (httptools), for a server that never leaves HTTP/1.1.

An offered upgrade must be ignored where it is not taken up (RFC 9110, 7.8). Java's HttpClient
offers ``Upgrade: h2c`` with every request; the parser then takes the head for the end of HTTP on
this connection, and the body is lost. Here such a head is given to a new parser once more, without
the offer.

uvicorn keeps every request that waits behind another one, and the parser every byte of a trailer or
of a chunk's extensions. Both are bounded here, beside the parser's callbacks; all other bounds are
`protocol`'s.
"""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate_process.ports import Port

_CONNECT: Final = b"CONNECT"


class PlainHttpProtocol(HttpToolsProtocol):
    """One connection of `port`, which a subclass sets, on which upgrades are ignored.

    `is_deaf`: a request was refused or dropped, and so is everything that follows.
    """

    port: Port

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_deaf = False
        self._in_body = False
        self._framing_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse `data`, whatever upgrades are offered in it."""
        if self.is_deaf:
            return
        self._framing_bytes += len(data)
        self._parse(data)
        limit = self.port.limits.framing_bytes
        if self._in_body and self._framing_bytes > limit:
            self.send_400_response(f"more than {limit} bytes of chunk heads or trailer")
            self.is_deaf = True

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if not self.offers_upgrade:
                    return
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return

    @property
    def offers_upgrade(self) -> bool:
        """Whether the head just parsed offers an upgrade, so that it will be parsed again.

        CONNECT has the same meaning to the parser and no body; there is nothing to repeat.
        """
        parser = self.parser
        return bool(parser.should_upgrade()) and parser.get_method() != _CONNECT

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those of a trailer are left out (RFC 9110, 6.5.1)."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete, and final unless it offers an upgrade."""
        if self.offers_upgrade or self.is_deaf:
            return
        if len(self.pipeline) >= self.port.limits.waiting:
            # The client sends what is dropped once more on another connection (RFC 9112, 9.3.2).
            self.port.refused["pipelined"] += 1
            self.is_deaf = True
            self.pipeline[0][0].keep_alive = False
            return
        self._in_body, self._framing_bytes = True, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._framing_bytes = 0
        if not self.is_deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete, unless its head has only offered an upgrade so far."""
        if self.offers_upgrade or self.is_deaf:
            return
        self._in_body = False
        super().on_message_complete()

    def _head_without_offer(self) -> bytes:
        line = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([line, *kept, b"\r\n"])
