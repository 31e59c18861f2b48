"""The client for code without an event loop: the asyncio client on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from tidegate.wire.decode import Event
from tidegate_client.actions import ReadyState
from tidegate_client.client import HeadersSource, SseClient
from tidegate_client.decisions import Settings
from tidegate_client.stream_events import Lost, Opened

_T = TypeVar("_T")


class SyncSseClient:
    """Follows one event stream from a thread; the same behaviour as `SseClient`.

    ::

        with SyncSseClient("http://localhost:8080/events?topic=news") as stream:
            for event in stream:
                print(event.id, event.type, event.data)

    The headers' provider and `on_change` are called on the client's own thread. `close` may be
    called from any thread, that one included, and ends the iteration. What waits (the iteration)
    raises `RuntimeError` there.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: HeadersSource | None = None,
        settings: Settings | None = None,
        last_event_id: str = "",
        controls: bool = False,
        on_change: Callable[[Opened | Lost], None] | None = None,
    ) -> None:
        self._client = SseClient(
            url,
            headers=headers,
            settings=settings,
            last_event_id=last_event_id,
            controls=controls,
            on_change=on_change,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()
        self._closing: asyncio.Task[None] | None = None

    @property
    def ready_state(self) -> ReadyState:
        """``connecting``, ``open`` or ``closed``."""
        return self._client.ready_state

    @property
    def last_event_id(self) -> str:
        """The id the next connection resumes after."""
        return self._client.last_event_id

    def __enter__(self) -> Self:
        """Start following."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="tidegate-client", daemon=True
        )
        self._thread.start()
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        with self._ending:
            if self._loop is None or self._thread is None:
                return
            self._run(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None

    def close(self) -> None:
        """Stop for good; the iteration ends. Idempotent.

        Waits until the connections are gone, but not in a callback, which they wait for.
        """
        if self._in_a_callback:
            if self._closing is None:
                self._closing = asyncio.ensure_future(self._client.aclose())
            return
        # Work handed to a loop that __exit__ has stopped would never be done.
        with self._ending:
            if self._loop is not None:
                self._run(self._client.aclose())

    def __iter__(self) -> Iterator[Event]:
        """The stream's events."""
        return self

    def __next__(self) -> Event:
        """Wait for the next event; raises `StreamStoppedError` when the client has given up."""
        event = self._run(self._next())
        if event is None:
            raise StopIteration
        return event

    async def _end(self) -> None:
        await self._client.aclose()
        # Looked at last: a callback may have closed while we did.
        if self._closing is not None:
            await self._closing
            self._closing = None

    async def _next(self) -> Event | None:
        return await anext(self._client, None)

    @property
    def _in_a_callback(self) -> bool:
        return threading.current_thread() is self._thread

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            work.close()
            raise RuntimeError("use the client in a with block")
        if self._in_a_callback:
            # Waiting here would block the very loop that has to do it.
            work.close()
            raise RuntimeError("a callback cannot wait for the client: do this in another thread")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
