"""Carries out what the core's drain decides: a timer, no task, and no decision of its own.

The timer is set for the next slot itself, never "in so many milliseconds", so slots do not drift;
several that are due at once (a busy loop) are let go together, as the core bounds it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tidegate.contract.report import Answer, PodState
from tidegate.drain.drain import STOP_LIMIT_S, Drain
from tidegate_sidecar.streams import Streams

LOOK_S = 0.05
"""How often streams that end by themselves are noticed while the pod is going away."""

_SHORTEST_S = 0.001

_log = logging.getLogger("tidegate.drain")


class Drainer:
    """The shell around `Drain`: give it what happened; it lets streams go when they are due.

    `clock` in seconds, monotonic. `changed` is set whenever the pod's state has changed.
    """

    def __init__(
        self,
        drain: Drain,
        streams: Streams,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.drain = drain
        self.changed = asyncio.Event()
        self._streams = streams
        self._clock = clock
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._hooks: list[asyncio.Future[None]] = []
        self._stopped = asyncio.Event()
        self._shown: PodState = drain.state
        self._apply()

    def filled(self) -> None:
        """The ring is filled: the pod may serve."""
        self.drain.filled()
        self.look()

    def answered(self, answer: Answer) -> None:
        """The operator has answered."""
        self.drain.answered(answer, self._clock())
        self.look()

    async def prestop(self) -> None:
        """The hook was called; returns when it may answer. May be called any number of times."""
        self.drain.prestop(self._clock())
        done: asyncio.Future[None] = self._loop.create_future()
        self._hooks.append(done)
        self._loop.call_soon(self.look)
        await done

    async def sigterm(self) -> None:
        """End everything; returns when no stream is left or the limit for that has passed."""
        self.drain.sigterm(self._clock())
        self._loop.call_soon(self.look)
        await self._stopped.wait()

    def look(self) -> None:
        """Do what is due now and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock()
        decision = self.drain.decide(now, self._streams.open_count, self._streams.lingering_count)
        # Armed first: should a goodbye fail, the others still get theirs.
        self._arm(now, decision.due_again_at)
        self._apply()
        self._answer_hooks(now)
        if decision.cut:
            self._streams.cut_all()
        for count, goodbye in decision.goodbyes:
            self._streams.let_go(count, goodbye)

    def _apply(self) -> None:
        drain, gate = self.drain, self._streams.gate
        gate.refusing = drain.refusing
        going = drain.refusing is not None and drain.state != "starting"
        gate.closing = going or not drain.orders.admitted
        gate.bounce_retry_ms = drain.streams.retry_base_ms
        if drain.state != self._shown:
            _log.info("pod is %s", drain.state, extra={"streams": self._streams.open_count})
            self._shown = drain.state
            self.changed.set()

    def _answer_hooks(self, now: float) -> None:
        stopped = self._is_stopped(now)
        if stopped:
            self._stopped.set()
        if stopped or self.drain.hook_done(now):
            for done in self._hooks:
                if not done.done():
                    done.set_result(None)
            self._hooks.clear()

    def _is_stopped(self, now: float) -> bool:
        if self.drain.sigterm_at is None:
            return False
        late = now >= self.drain.sigterm_at + STOP_LIMIT_S
        return late or self._streams.open_count + self._streams.lingering_count == 0

    def _arm(self, now: float, at: float | None) -> None:
        leaving = self.drain.state in ("draining", "stopping") and not self._stopped.is_set()
        if leaving:
            at = now + LOOK_S if at is None else min(at, now + LOOK_S)
        if at is not None:
            self._timer = self._loop.call_later(max(_SHORTEST_S, at - now), self.look)

    def stop(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
