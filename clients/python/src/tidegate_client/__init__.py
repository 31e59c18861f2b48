"""The Python client: follows a stream through rollouts, and moves before it is pushed.

`SseClient` is for asyncio and trio, `SyncSseClient` for threads. Both resume after the last event,
back off when a server fails and, where the server ends a stream with a goodbye, open the next
stream before the old one ends. The decisions (`connector`, `decisions`) use no clock, no socket and
no randomness, and runs the same scenarios as the TypeScript client.
"""

try:
    import httpx2  # noqa: F401 - looked up here for the sake of the message
except ModuleNotFoundError as error:
    message = "tidegate_client needs an HTTP library: pip install 'tidegate[client]'"
    raise ModuleNotFoundError(message, name=error.name) from error

from tidegate_client.acknowledging import AcknowledgingSseClient
from tidegate_client.acknowledging_sync import SyncAcknowledgingSseClient
from tidegate_client.actions import LostReason, ReadyState, StopReason
from tidegate_client.client import SseClient
from tidegate_client.decisions import Settings
from tidegate_client.errors import StreamStoppedError
from tidegate_client.options import SseClientOptions
from tidegate_client.stream_events import Event, Lost, Opened
from tidegate_client.sync import SyncSseClient

__all__ = [
    "AcknowledgingSseClient",
    "Event",
    "Lost",
    "LostReason",
    "Opened",
    "ReadyState",
    "Settings",
    "SseClient",
    "SseClientOptions",
    "StopReason",
    "StreamStoppedError",
    "SyncAcknowledgingSseClient",
    "SyncSseClient",
]
