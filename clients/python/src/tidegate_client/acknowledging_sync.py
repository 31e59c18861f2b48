"""The acknowledging client for code without an event loop."""

from __future__ import annotations

from typing import Unpack

import httpx2

from tidegate.wire.decode import Event
from tidegate_client.acknowledging import FLUSH_LIMIT_S, AcknowledgingSseClient
from tidegate_client.options import SseClientOptions
from tidegate_client.sync import SyncSseClient


class SyncAcknowledgingSseClient(SyncSseClient):
    """Follows and acknowledges from a thread; the same behaviour as `AcknowledgingSseClient`."""

    def __init__(
        self,
        url: str | httpx2.URL,
        *,
        automatic: bool | None = None,
        acknowledge_every_ms: float | None = None,
        **options: Unpack[SseClientOptions],
    ) -> None:
        """The options are those of `AcknowledgingSseClient`."""
        self._acknowledging = AcknowledgingSseClient(
            url, automatic=automatic, acknowledge_every_ms=acknowledge_every_ms, **options
        )
        super().__init__(url)
        self._client = self._acknowledging

    @property
    def acknowledged(self) -> str:
        """The last id that the server has kept."""
        return self._acknowledging.acknowledged

    @property
    def ack_status(self) -> int:
        """HTTP status of the last answer to an acknowledgement; 0 without one."""
        return self._acknowledging.ack_status

    def acknowledge(self, event: Event | str) -> None:
        """Everything up to this event (or id) is done; it is sent soon.

        May be called in a callback, too.
        """
        self._do(self._acknowledging.acknowledge, event)

    def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Send what waits now; whether it is kept, within `limit_s`. Not in a callback."""
        return self._wait(self._acknowledging.flush, limit_s)
