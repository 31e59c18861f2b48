"""A FastAPI service that follows a Tidegate stream for as long as it runs.

``pip install 'tidegate[client]' fastapi uvicorn``, then
``EVENTS_URL=http://localhost:8080/events?topic=news uvicorn fastapi_consumer:app``
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator

from fastapi import FastAPI

from tidegate_client import Lost, Opened, SseClient, StreamStoppedError


def create_app(events_url: str) -> FastAPI:
    """The service; `GET /latest` answers with the last events it has seen."""
    latest: deque[str] = deque(maxlen=20)
    state: dict[str, str] = {"stream": "connecting"}

    def changed(change: Opened | Lost) -> None:
        state["stream"] = "open" if isinstance(change, Opened) else change.reason

    async def follow() -> None:
        async with SseClient(events_url, on_change=changed) as stream:
            async for event in stream:
                latest.append(event.data)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(follow())
        yield
        following.cancel()
        # A stream that was given up is recorded in `state`; it must not spoil the shutdown.
        with contextlib.suppress(asyncio.CancelledError, StreamStoppedError):
            await following

    app = FastAPI(lifespan=lifespan)

    @app.get("/latest")
    async def show() -> dict[str, object]:
        return {**state, "events": list(latest)}

    return app


app = create_app(os.environ.get("EVENTS_URL", "http://localhost:8080/events?topic=news"))
