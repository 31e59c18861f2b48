"""The publish port (loopback only): events come in, and the application looks at its clients.

Its callers are programs of the same pod; web pages are refused (`local_only`).

Several events in one request (NDJSON) are appended side by side and answered line by line in order:
a wrong line does not touch its neighbours. A batch is bounded in bytes and in lines, and read in
slices between which the loop turns, so that probes and streams do not wait for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tidegate.contract import names
from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate.contract.publish import MAX_ADDRESS_BYTES, Publish
from tidegate.drain.decision import Goodbye
from tidegate_process.http import make_app, read_body, unavailable
from tidegate_sidecar.backplane.port import Log
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.local_only import content_type, local_only
from tidegate_sidecar.streams import ClientStreams

NDJSON: Final = "application/x-ndjson"
_NDJSON_KINDS: Final = frozenset({NDJSON, "application/ndjson", "application/jsonl"})

BATCH_BYTES: Final = 16 * 2**20
"""An NDJSON body: large enough that its request costs nothing, small enough to hold in memory."""

MAX_BATCH_LINES: Final = 10_000
"""Lines in one NDJSON body: each costs a task and an answer, however short it is."""

_AT_ONCE: Final = 100
"""Lines of one batch on their way to the backplane together: a store that syncs each entry to disk
takes some hundreds a second, and each line has its own time to be acknowledged."""

_SLICE: Final = 50
"""Lines begun per turn of the loop: a few milliseconds where every one of them is wrong."""

_JSON_GROWTH: Final = 6
"""JSON may write one byte of data as six (``\\u0001``)."""

END_DEADLINE_MS: Final = 5000
"""How long a handover may take after `DELETE /clients/{id}`."""


class PublishPort:
    """The handlers of the port; `app` serves them."""

    def __init__(
        self, log: Log, streams: ClientStreams, metrics: Metrics, max_event_bytes: int
    ) -> None:
        self._log = log
        self._streams = streams
        self._metrics = metrics
        self._max_event_bytes = max_event_bytes

    def app(self) -> Starlette:
        """The ASGI application."""
        one = f"{names.PATH_CLIENTS}/{{client_id:path}}"
        return make_app(
            [
                Route(names.PATH_PUBLISH, local_only(self.publish), methods=["POST"]),
                Route(names.PATH_CLIENTS, local_only(self.clients), methods=["GET"]),
                Route(one, local_only(self.client), methods=["GET"]),
                Route(one, local_only(self.end_client), methods=["DELETE"]),
            ],
            self._refused,
        )

    def _refused(self, error: str) -> None:
        self._metrics.refused("publish", error)

    async def publish(self, request: Request) -> Response:
        """One event as JSON, or several as NDJSON; 202 with the id or ids."""
        if content_type(request) in _NDJSON_KINDS:
            return await self._publish_lines(await read_body(request, BATCH_BYTES))
        limit = self._max_event_bytes * _JSON_GROWTH + MAX_ADDRESS_BYTES
        document = await self._publish_one(await read_body(request, limit))
        return JSONResponse(document, status_code=202)

    async def _publish_one(self, body: bytes) -> dict[str, Any]:
        publish = Publish.from_bytes(body, self._max_event_bytes)
        cursor = await self._log.append(publish)
        self._metrics.published()
        return {"id": str(cursor)}

    async def _publish_lines(self, body: bytes) -> Response:
        if body.count(b"\n") > MAX_BATCH_LINES:
            detail = f"at most {MAX_BATCH_LINES} lines in a body; send the rest in another request"
            raise CallerError("too_many_lines", detail, status=413)
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not lines:
            raise CallerError("empty_batch", "at least one line is needed")
        statuses: set[int] = set()
        answered: list[bytes] = []
        for start in range(0, len(lines), _AT_ONCE):
            for line_status, answer in await self._at_once(lines[start : start + _AT_ONCE]):
                statuses.add(line_status)
                answered.append(answer)
        # A publisher that looks only at the status must not take for done, or for wrong, what it
        # has to send again; beyond that it learns whether anything was accepted.
        status = 503 if 503 in statuses else min(statuses)
        headers = {"Retry-After": "1"} if status == 503 else None
        return StreamingResponse(
            _in_pieces(answered), status_code=status, media_type=NDJSON, headers=headers
        )

    async def _at_once(self, lines: list[bytes]) -> list[tuple[int, bytes]]:
        tasks: list[asyncio.Task[tuple[int, bytes]]] = []
        try:
            for start in range(0, len(lines), _SLICE):
                tasks += [
                    asyncio.create_task(self._line(at)) for at in lines[start : start + _SLICE]
                ]
                await asyncio.sleep(0)
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _line(self, line: bytes) -> tuple[int, bytes]:
        document: dict[str, Any]
        try:
            status, document = 202, await self._publish_one(line)
        except CallerError as error:
            self._refused(error.code)
            status, document = error.status, error.to_json()
        except BackplaneUnavailableError as error:
            self._refused("unavailable")
            status, document = 503, unavailable(error).to_json()
        return status, json.dumps(document).encode() + b"\n"

    async def clients(self, _: Request) -> Response:
        """How many streams each client has here, and how many there are without a client."""
        clients = dict(self._streams.clients())
        total = self._streams.open_count
        return JSONResponse({"clients": clients, "streams": total})

    async def client(self, request: Request) -> Response:
        """One client's streams here; 404 where it has none."""
        client = _client_id(request)
        streams = self._streams.streams_of(client)
        if not streams:
            raise CallerError("no_such_client", f"{client} has no stream here", status=404)
        listed = [
            {
                "stream": s.stream,
                "topics": list(s.topics),
                "age_s": round(s.age_s, 3),
                "cursor": s.cursor,
                "lagging": s.lagging,
            }
            for s in streams
        ]
        return JSONResponse({"client": client, "streams": listed})

    async def end_client(self, request: Request) -> Response:
        """End a client's streams here, each with a `shutdown`; answers how many there were."""
        goodbye = Goodbye("ended", self._streams.gate.bounce_retry_ms, END_DEADLINE_MS)
        ended = self._streams.end_client(_client_id(request), goodbye)
        return JSONResponse({"ended": ended})


def _client_id(request: Request) -> str:
    client = str(request.path_params["client_id"])
    if not names.is_client_id(client):
        raise CallerError("bad_client", "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ -", "client_id")
    return client


async def _in_pieces(lines: list[bytes]) -> AsyncIterator[bytes]:
    for start in range(0, len(lines), _AT_ONCE):
        yield b"".join(lines[start : start + _AT_ONCE])
