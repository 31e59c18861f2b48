"""The acknowledging client for code without an event loop."""

from __future__ import annotations

from typing import Any

from tidegate.wire.decode import Event
from tidegate_client.acknowledging import FLUSH_LIMIT_S, AcknowledgingSseClient
from tidegate_client.sync import SyncSseClient


class SyncAcknowledgingSseClient(SyncSseClient):
    """Follows and acknowledges from a thread; the same behaviour as `AcknowledgingSseClient`."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` are those of `AcknowledgingSseClient`."""
        self._acknowledging = AcknowledgingSseClient(url, **options)
        super().__init__(url)
        self._client = self._acknowledging

    def acknowledge(self, event: Event | str) -> None:
        """Say that everything up to this event (or id) is done; it is sent soon.

        May be called in a callback, too.
        """
        if self._in_a_callback:
            self._acknowledging.acknowledge(event)
        else:
            self._run(self._acknowledge(event))

    def flush(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Send what waits now; whether it is kept, within `limit_s`. Not in a callback."""
        return self._run(self._acknowledging.flush(limit_s))

    async def _acknowledge(self, event: Event | str) -> None:
        self._acknowledging.acknowledge(event)
