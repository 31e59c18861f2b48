"""The client for code without an event loop: the async client on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tidegate.wire.decode import Event
from tidegate_client.actions import ReadyState
from tidegate_client.client import SseClient
from tidegate_client.options import SseClientOptions

_T = TypeVar("_T")


class SyncSseClient:
    """Follows one event stream from a thread; the same behaviour and options as `SseClient`.

    ::

        with SyncSseClient("http://localhost:8080/events?topic=news") as stream:
            for event in stream:
                print(event.id, event.type, event.data)

    The headers' provider and the hooks are called on the client's own thread, and `http` is used
    only there. `close`, `reconnect` and `wake` may be called from any thread, that one included;
    the iteration raises `RuntimeError` there, as it would wait for itself.
    """

    def __init__(self, url: str | httpx2.URL, **options: Unpack[SseClientOptions]) -> None:
        self._client = SseClient(url, **options)
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None
        self._thread_id: int | None = None
        self._ending = threading.Lock()
        self._closing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The stream's URL, as given."""
        return self._client.url

    @property
    def ready_state(self) -> ReadyState:
        """``connecting``, ``open`` or ``closed``."""
        return self._client.ready_state

    @property
    def last_event_id(self) -> str:
        """The id of what was handed over last."""
        return self._client.last_event_id

    def __enter__(self) -> Self:
        """Start the thread, and start following."""
        with contextlib.ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            self._thread_id = portal.call(threading.get_ident)
            stack.callback(portal.call, self._closed)
            self._portal = portal
            stack.enter_context(portal.wrap_async_context_manager(self._client))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and end the thread."""
        with self._ending:
            self._stack.close()
            self._portal = None

    def close(self) -> None:
        """Stop; the iteration ends. Idempotent.

        Waits until the connections are gone, but not in a callback, which they wait for.
        """
        if self._in_a_callback:
            if self._closing is None:
                self._closing = asyncio.ensure_future(self._client.aclose())
            return
        # Work handed to a portal that __exit__ has stopped would never be done.
        with self._ending:
            if self._portal is not None:
                self._wait(self._client.aclose)

    def reconnect(self) -> None:
        """Drop what there is and connect now, resuming after the last event."""
        self._do(self._client.reconnect)

    def wake(self) -> None:
        """The network is back: hurries a waiting client and checks an open stream."""
        self._do(self._client.wake)

    def __iter__(self) -> Iterator[Event]:
        """A loop over the events; one at a time."""
        self._do(self._client.__aiter__)
        return self

    def __next__(self) -> Event:
        """Wait for the next event; raises `StreamStoppedError` when the client has given up."""
        event = self._wait(self._next)
        if event is None:
            raise StopIteration
        return event

    async def _next(self) -> Event | None:
        return await anext(self._client, None)

    async def _closed(self) -> None:
        """Wait for what a callback has begun to close."""
        closing, self._closing = self._closing, None
        if closing is not None:
            await closing

    @property
    def _in_a_callback(self) -> bool:
        return self._portal is not None and threading.get_ident() == self._thread_id

    def _do(self, work: Callable[..., object], *args: Any) -> None:
        """Do what does not wait, on the client's thread."""
        if self._in_a_callback:
            work(*args)
        else:
            self._started().call(work, *args)

    def _wait(self, work: Callable[..., Awaitable[_T]], *args: Any) -> _T:
        """Wait for what is done on the client's thread."""
        if self._in_a_callback:
            raise RuntimeError("a callback cannot wait for the client: do this in another thread")
        future = self._started().start_task_soon(work, *args)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("the client's thread has ended") from None
        except BaseException:
            # Ctrl-C must not leave a waiting task behind, which would take the next event.
            future.cancel()
            raise

    def _started(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the client is not started: use it in a with block")
        return self._portal
