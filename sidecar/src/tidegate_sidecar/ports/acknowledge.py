"""Acknowledgements at the public port: an answered position is kept.

204 means that the store has the position, or one beyond it: a stream of that name goes on from
there on any pod. So that a chatty client does not flood the store, a pod writes one stream's
position at most once a second: the first at once, and what comes in meanwhile is held, the newest
is written for all and all are answered. Nothing is answered and written later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from tidegate.auth.guard import Guard, TurnedAway
from tidegate.auth.rights import Asked
from tidegate.contract.acknowledge import (
    ACKNOWLEDGE_EVERY_S,
    MAX_ACKNOWLEDGE_BYTES,
    MAX_HELD_PER_STREAM,
    StreamKey,
    read_acknowledgement,
)
from tidegate.contract.errors import BackplaneUnavailableError, CallerError, TidegateError
from tidegate.stream.acknowledged import advances, check_issued, read_acknowledged
from tidegate.stream.log import EventLog
from tidegate.stream.requests import Recalled, read_acknowledge_target
from tidegate.stream.resume import is_ahead
from tidegate.wire.cursors import Cursor
from tidegate_process.http import make_app, read_body
from tidegate_sidecar.asgi import raw_path
from tidegate_sidecar.backplane.port import Acks
from tidegate_sidecar.metrics import Metrics

MAX_HELD: Final = 10_000
"""Acknowledgements held by a pod at a time; beyond that 503."""

BODY_LIMIT_S: Final = 10.0
"""How long a client may take to send its few bytes."""


@dataclass(slots=True)
class _Turn:
    """The next write of one stream's position, and the requests that wait for it."""

    newest: Cursor
    done: asyncio.Future[None]
    held: int = 0


class Acknowledgements:
    """Writes positions to the store, each stream's in turn, and looks them up.

    `log` is this pod's ring, only read; `newest` asks the store for the newest position.
    """

    def __init__(
        self,
        acks: Acks,
        log: EventLog,
        newest: Callable[[], Awaitable[Cursor]],
        every_s: float = ACKNOWLEDGE_EVERY_S,
    ) -> None:
        self._acks = acks
        self._log = log
        self._newest = newest
        self._every_s = every_s
        self._turns: dict[StreamKey, _Turn] = {}
        self._writing: dict[StreamKey, asyncio.Task[None]] = {}
        self._held = 0
        self._ending = asyncio.Event()

    async def keep(self, key: StreamKey, event_id: str) -> None:
        """Return once the position of `event_id`, or one beyond it, is kept.

        Raises `CallerError` for an id that cannot be and for too many at a time, and
        `BackplaneUnavailableError` where nothing was kept.
        """
        cursor = read_acknowledged(event_id)
        if cursor.epoch != self._log.epoch or cursor.seq > self._log.head:
            # Another pod may have read further: only the store has all ids.
            check_issued(cursor, await self._newest())
        turn = self._turns.get(key)
        self._check_room(turn)
        if turn is None:
            done = asyncio.get_running_loop().create_future()
            turn = self._turns[key] = _Turn(cursor, done)
        elif advances(turn.newest, cursor, self._log.epoch):
            turn.newest = cursor
        if key not in self._writing:
            self._writing[key] = asyncio.create_task(self._write(key), name="acknowledgements")
        turn.held += 1
        self._held += 1
        try:
            await asyncio.shield(turn.done)
        finally:
            turn.held -= 1
            self._held -= 1

    async def recall(self, key: StreamKey | None) -> Recalled:
        """Look up where the stream of `key` goes on, and how far the log has come where needed."""
        try:
            kept = None if key is None else await self._kept(key)
            newest = 0
            if key is None or is_ahead(kept, self._log):
                newest = (await self._newest()).seq
        except BackplaneUnavailableError:
            return Recalled(reached=False)
        return Recalled(None if kept is None else str(kept), newest=newest)

    async def _kept(self, key: StreamKey) -> Cursor | None:
        """The position of `key`, or the log's very begin where it may have been thrown out: the
        stream gets all that is left of the log, behind a `gap` for the rest.
        """
        kept = await self._acks.read(key)
        if kept is None and await self._acks.may_have_evicted(key):
            return Cursor(self._log.epoch, 0)
        return kept

    def hurry(self) -> None:
        """The pod is about to end: what is held is written now."""
        self._ending.set()

    async def stop(self) -> None:
        """Give up positions that are not written; the requests that wait get no answer."""
        tasks = [*self._writing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_room(self, turn: _Turn | None) -> None:
        if self._held >= MAX_HELD:
            raise BackplaneUnavailableError("too many acknowledgements are waiting")
        if turn is not None and turn.held >= MAX_HELD_PER_STREAM:
            detail = f"at most {MAX_HELD_PER_STREAM} of a stream at a time; send the newest id only"
            raise CallerError("too_many_acknowledgements", detail, "stream", status=429)

    async def _write(self, key: StreamKey) -> None:
        try:
            while (turn := self._turns.pop(key, None)) is not None:
                await self._write_one(key, turn)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._every_s):
                        await self._ending.wait()
        finally:
            del self._writing[key]

    async def _write_one(self, key: StreamKey, turn: _Turn) -> None:
        try:
            await self._acks.keep(key, turn.newest, self._log.epoch)
        except TidegateError as error:
            turn.done.set_exception(error)
            turn.done.exception()  # the clients that waited may have left
        except BaseException:
            turn.done.cancel()
            raise
        else:
            turn.done.set_result(None)


class AcknowledgePort:
    """``POST /sse/subscribe/{client_id}/ack?stream=NAME`` with ``{"id": …}``."""

    def __init__(
        self, acknowledgements: Acknowledgements, metrics: Metrics, guard: Guard | None = None
    ) -> None:
        self._acknowledgements = acknowledgements
        self._metrics = metrics
        self._guard = guard

    def app(self) -> Starlette:
        """The ASGI application; its caller routes the paths to it."""
        return make_app(
            [Route("/{path:path}", self.acknowledge, methods=["POST"])],
            lambda error: self._metrics.refused("public", error),
        )

    async def acknowledge(self, request: Request) -> Response:
        """Keep one position; 204."""
        key = self._target(request.scope)
        body = await read_body(request, MAX_ACKNOWLEDGE_BYTES, BODY_LIMIT_S)
        await self._acknowledgements.keep(key, read_acknowledgement(body))
        return Response(status_code=204, headers={"cache-control": "no-store"})

    def _target(self, scope: Scope) -> StreamKey:
        """The position that may be moved; raises `CallerError`.

        Asked before the body is read, so that a stranger's body costs nothing.
        """
        path, query = raw_path(scope), scope.get("query_string", b"")
        if self._guard is None:
            return read_acknowledge_target(path, query)
        headers = scope["headers"]
        query, credential = self._guard.screen(headers, query)
        key = read_acknowledge_target(path, query)
        given = self._guard.rights(credential, "POST", headers, Asked(key.client))
        if isinstance(given, TurnedAway):
            raise BackplaneUnavailableError("tokens cannot be verified now")
        return key
