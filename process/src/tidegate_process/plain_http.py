"""uvicorn's HTTP/1.1 protocol (httptools), for a server that never leaves HTTP/1.1.

An offered upgrade must be ignored where it is not taken up (RFC 9110, 7.8). Java's HttpClient
offers ``Upgrade: h2c`` with every request; the parser then takes the head for the end of HTTP on
this connection, and the body is lost. Here such a head is given to a new parser once more, without
the offer.
"""

from __future__ import annotations

from typing import Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CONNECT: Final = b"CONNECT"


class PlainHttpProtocol(HttpToolsProtocol):
    """One connection on which upgrades are ignored."""

    def data_received(self, data: bytes) -> None:
        """Parse `data`, whatever upgrades are offered in it."""
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

    def on_headers_complete(self) -> None:
        """The head is complete, and final unless it offers an upgrade."""
        if not self.offers_upgrade:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete, unless its head has only offered an upgrade so far."""
        if not self.offers_upgrade:
            super().on_message_complete()

    def _head_without_offer(self) -> bytes:
        line = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join([line, *kept, b"\r\n"])
