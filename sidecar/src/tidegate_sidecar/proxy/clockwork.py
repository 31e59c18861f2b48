"""Everything in a proxy that depends on time, in one timer: time-outs, heartbeats, the deadline.

Endless streams are looked at in rounds, eight per heartbeat interval. A stream only notes that it
has written; so an event costs no look at a clock.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tidegate.contract.stream_settings import CommonStreamSettings
from tidegate.drain.drain import Drain
from tidegate_process.ports import TICK_S
from tidegate_sidecar.proxy.context import Context

ROUNDS: Final = 8
"""Rounds per heartbeat interval: a heartbeat comes at most one round late."""


class Clockwork:
    """Ticks for one proxy; `drain` knows the deadline."""

    def __init__(self, context: Context, drain: Drain, settings: CommonStreamSettings) -> None:
        self._context = context
        self._drain = drain
        self._round_s = settings.heartbeat_s / ROUNDS
        self._tick_s = min(TICK_S, self._round_s)
        self._next_round_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._finished_s: float | None = None

    def start(self) -> None:
        """Begin."""
        self._timer = self._context.loop.call_later(self._tick_s, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        context = self._context
        self._timer = context.loop.call_later(self._tick_s, self._tick)
        now = context.clock()
        context.port.expire()
        for exchange in (*context.connecting.late(), *context.silence.late()):
            exchange.end()
        for client in context.idle.late():
            client.end()
        context.upstreams.expire()
        if now >= self._next_round_s:
            self._next_round_s = now + self._round_s
            context.streams.beat(ROUNDS)
        self._finish(now)
        context.streams.expire(now)

    def _finish(self, now: float) -> None:
        """End, once for each deadline, the answers that are under way when it comes.

        The pod may live on for the application's reserve, in which routers may still send requests.
        """
        deadline_s = self._drain.deadline_at
        if deadline_s is not None and now >= deadline_s and deadline_s != self._finished_s:
            self._finished_s = deadline_s
            self._context.streams.finish()
