"""The client's connection, as an exchange uses it."""

from __future__ import annotations

import asyncio
from typing import Protocol


class ClientSide(Protocol):
    """The client's connection, as an exchange uses it."""

    peer: str

    @property
    def transport(self) -> asyncio.Transport:
        """Where the answer is written."""

    def pause_reading(self, *, is_paused: bool) -> None:
        """Read no more of the request's body, or go on."""

    def connected(self) -> None:
        """The request's body can be taken now."""

    def answered(self, *, keep: bool) -> None:
        """The answer is complete; `keep`: another request may follow."""

    def ended(self, *, flush: bool) -> None:
        """Close the connection, after what has been written is sent or at once."""
