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
        deadline_s = self._drain.deadline_at
        if deadline_s is not None and now >= deadline_s:
            context.streams.finish()
        context.streams.expire(now)
