"""The drain: what happened goes in, which streams go now and when to decide again comes out.

The operator's plan, while it is valid, replaces the pod's own slots outright. Without one the pod's
own plan applies: it starts 2 s after preStop where an operator may still answer, and at once where
none is configured. Only deadlines combine, by the nearer one. Under any plan
the end of the window is left to the *last call*: an even schedule that has everything gone by the
deadline, so that a plan that waits too long costs a peak and not a cut.

SIGTERM ends everything within `STOP_WINDOW_S`, whatever was going on. The other three modes exist
to be compared with: ``fixed`` (what a hand-written manager does: goodbye to all at once), ``cut``
(a stock server: no goodbye, at SIGTERM) and ``off`` (our hook, but no stream is let go).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Answer, PodState
from tidegate.contract.stream_events import HANDOVER_DEADLINE_MS, ShutdownReason
from tidegate.contract.stream_settings import CommonStreamSettings
from tidegate.drain.decision import Decision, Goodbye
from tidegate.drain.life import PLANS_HEEDED, Event, after
from tidegate.drain.orders import Order, Orders, Reception
from tidegate.drain.returns import Returns
from tidegate.drain.slots import Slots
from tidegate.drain.window import Window

STOP_WINDOW_S = 1.0
"""How long the goodbyes after SIGTERM are spread."""

STOP_LIMIT_S = 1.5
"""How long after SIGTERM handovers may take."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule in force: its source, its slots, and the contents of its goodbyes."""

    name: str
    slots: Slots
    reason: ShutdownReason
    retry_ms: int
    wanted_per_s: float
    limit: int | None = None


class Drain:
    """One pod's drain. Not thread-safe; `now` is any clock that only grows, in seconds.

    `operator`: whether one is configured. `back_loaded` starts the pod's own plan in the middle
    of the window: by then fewer old pods are open, so fewer clients move twice (simulated with 5
    pods and a grace of 60 s: 1.00 moves per client, starting at once 1.08; with 10 pods and 120 s
    1.02 and 1.14).
    """

    def __init__(
        self,
        settings: DrainSettings,
        streams: CommonStreamSettings,
        *,
        operator: bool = False,
        back_loaded: bool = True,
    ) -> None:
        self.settings = settings
        self.streams = streams
        self._operator = operator
        self._back_loaded = back_loaded
        self.orders = Orders()
        self.state: PodState = "starting"
        self.sigterm_at: float | None = None
        self._returns = Returns()
        self._schedule: Schedule | None = None
        self._last_call = False
        self._last_slot_at: float | None = None
        self._window: Window | None = None

    # Events.

    def filled(self) -> None:
        """The ring holds the backplane's last events. Raises `IllegalTransitionError`."""
        self.state = after(self.state, Event.FILLED)

    def prestop(self, now: float) -> None:
        """The hook was called; calling again changes nothing."""
        self.state = after(self.state, Event.PRESTOP)
        if self._window is None:
            self._window = Window(self.settings, self.streams.accept_rate_per_s, now)

    def answered(self, answer: Answer, now: float) -> Reception:
        """The operator has answered; a stale answer changes nothing but its count."""
        return self.orders.receive(answer, now)

    def sigterm(self, now: float) -> None:
        """The process must end; a second SIGTERM changes nothing."""
        self.state = after(self.state, Event.SIGTERM)
        if self.sigterm_at is None:
            self.sigterm_at = now

    # Decisions.

    @property
    def refusing(self) -> ShutdownReason | None:
        """Why new streams are bounced now, ``None`` where they are accepted."""
        if self.state == "starting":
            return "starting"
        if self.settings.mode in ("cut", "off"):
            return None
        if self.state == "stopping":
            return "stopping"
        return None if self.state == "ready" else "drain"

    @property
    def prestop_at(self) -> float | None:
        """When the hook was called first."""
        return None if self._window is None else self._window.prestop_at

    @property
    def deadline_at(self) -> float | None:
        """By when every stream is gone: the nearest of the deadlines known; ``None``: none."""
        if self.sigterm_at is not None:
            return self.sigterm_at + STOP_WINDOW_S
        return None if self._window is None else self._window.end_at

    def hook_done(self, now: float) -> bool:
        """Whether preStop may answer: nothing left and lingered long enough, or no time left."""
        if self._window is None:
            return False
        empty = self.state == "drained" or self.settings.mode == "off"
        return self._window.hook_done(now, empty=empty)

    def decide(self, now: float, streams: int, lingering: int = 0) -> Decision:
        """What is due, given `streams` open and `lingering` that have had their goodbye.

        The caller must carry the goodbyes out: they count as done.
        """
        if self.state == "draining" and streams == 0 and lingering == 0:
            self.state = after(self.state, Event.LAST_STREAM_GONE)
        if self.settings.mode in ("cut", "off"):
            cut = self.state == "stopping" and streams + lingering > 0
            return Decision(cut=cut, due_again_at=self._hook_at(now))
        schedule = self._choose(now, streams)
        self._schedule = schedule
        if schedule is None:
            return Decision(due_again_at=self._wake_at(now, None, streams))
        return self._depart(schedule, now, streams)

    def _depart(self, schedule: Schedule, now: float, streams: int) -> Decision:
        remaining = streams if schedule.limit is None else min(streams, schedule.limit)
        slots = schedule.slots.caught_up(now, remaining)
        due = slots.due(now, remaining)
        if due:
            self._last_slot_at = slots.boundary + (due - 1 + slots.offset) * slots.cell_s(remaining)
            self.orders.taken += due
        slots = slots.after(due, remaining)
        self._schedule = replace(schedule, slots=slots)
        batches, self._returns = self._returns.spread(
            now, due, schedule.retry_ms / 1000, schedule.wanted_per_s, self._spread_s(schedule)
        )
        deadline_ms = self._handover_ms(now)
        goodbyes = tuple(
            (b.count, Goodbye(schedule.reason, b.retry_ms, deadline_ms)) for b in batches
        )
        next_at = slots.next_at(remaining - due)
        return Decision(goodbyes, False, self._wake_at(now, next_at, streams - due))

    def _spread_s(self, schedule: Schedule) -> float:
        return 0.0 if schedule.name == "fixed" else self.streams.crash_spread_max_ms / 1000

    def _handover_ms(self, now: float) -> int:
        ends_at = self.deadline_at
        if self.sigterm_at is not None:
            ends_at = self.sigterm_at + STOP_LIMIT_S
        left_ms = HANDOVER_DEADLINE_MS if ends_at is None else round((ends_at - now) * 1000)
        return max(0, min(HANDOVER_DEADLINE_MS, left_ms))

    # Which schedule is in force.

    def _choose(self, now: float, streams: int) -> Schedule | None:
        if self.state == "stopping":
            return self._stopping()
        order = self._order(now)
        if self.state == "ready":
            return None if order is None else self._ordered(order)
        if self.state != "draining":
            return None
        if self.settings.mode == "fixed":
            return self._fixed(now)
        if order is not None and order.deadline_at is not None:
            self._begun().shorten(order.deadline_at)
        if order is None:
            return self._local(now)
        self._last_call = self._last_call or now >= self._begun().last_call_at(streams)
        if self._last_call and not self._in_time(order, streams):
            window = self._begun()
            return self._even("last_call", window.last_call_at(streams), window.end_at)
        return None if order.plan.kind == "wait" else self._ordered(order)

    def _order(self, now: float) -> Order | None:
        order = self.orders.order
        if order is None or now >= order.valid_until:
            return None
        return order if order.plan.kind in PLANS_HEEDED[self.state] else None

    def _ordered(self, order: Order) -> Schedule | None:
        name = f"order {order.seq}"
        limit = self.orders.left()
        if self._schedule is not None and self._schedule.name == name:
            return replace(self._schedule, limit=limit)
        plan = order.plan
        if plan.rate_per_s <= 0:
            return None
        # An order that follows another keeps its distance, or the first slots of frequent orders
        # would add up to more than their rate.
        start = order.start_at
        if self._last_slot_at is not None:
            start = max(start, self._last_slot_at + 1.0 / plan.rate_per_s)
        unlimited = self.state == "draining" and plan.count is None
        end = self._begun().end_at if unlimited else None
        slots = Slots(start, end, plan.rate_per_s)
        reason: ShutdownReason = "drain" if self.state == "draining" else "shed"
        returns_per_s = plan.returns_per_s or plan.rate_per_s
        return Schedule(name, slots, reason, plan.retry_ms, returns_per_s, limit)

    def _in_time(self, order: Order, streams: int) -> bool:
        """Whether the order in force has every stream gone by the deadline without our help."""
        if order.plan.kind != "drain" or order.plan.rate_per_s <= 0:
            return False
        left = self.orders.left()
        enough = left is None or left >= streams
        start = max(order.start_at, self._last_slot_at or order.start_at)
        return enough and start + streams / order.plan.rate_per_s <= self._begun().end_at

    def _local(self, now: float) -> Schedule | None:
        start = self._local_start()
        if now < start:
            return None
        lapsed = self.orders.order
        if lapsed is not None and lapsed.plan.kind != "shed":
            start = max(start, min(now, lapsed.valid_until))
        end = self._begun().end_at
        if self.settings.local_window_s is not None:
            end = min(end, max(start, self._local_start() + self.settings.local_window_s))
        return self._even("local", start, end)

    def _local_start(self) -> float:
        return self._begun().local_start_at(operator=self._operator, back_loaded=self._back_loaded)

    def _even(self, name: str, start: float, end: float) -> Schedule:
        if self._schedule is not None and self._schedule.name == name:
            slots = replace(self._schedule.slots, end=end)
        else:
            slots = Slots(max(start, self._last_slot_at or start), end, None)
        streams = self.streams
        return Schedule(name, slots, "drain", streams.retry_base_ms, streams.accept_rate_per_s)

    def _fixed(self, now: float) -> Schedule:
        retry_ms, rate_per_s = self.settings.shutdown_retry_ms, self.streams.accept_rate_per_s
        reason: ShutdownReason = "stopping" if self.state == "stopping" else "drain"
        return Schedule("fixed", Slots(now, now, None), reason, retry_ms, rate_per_s)

    def _stopping(self) -> Schedule:
        at = self._sigterm_at()
        if self.settings.mode == "fixed":
            return self._fixed(at)
        schedule = self._even("stopping", at, at + STOP_WINDOW_S)
        return replace(schedule, reason="stopping")

    # When to decide again.

    def _hook_at(self, now: float) -> float | None:
        return None if self._window is None else self._window.hook_at(now)

    def _wake_at(self, now: float, next_at: float | None, streams: int) -> float | None:
        times = [self._hook_at(now), next_at]
        order = self._order(now)
        if order is not None:
            times.append(order.valid_until)
        if self.state == "draining" and streams:
            window = self._begun()
            times += [self._local_start(), window.last_call_at(streams), window.end_at]
        return min(
            (at for at in times if at is not None and (at > now or at == next_at)), default=None
        )

    def _begun(self) -> Window:
        assert self._window is not None
        return self._window

    def _sigterm_at(self) -> float:
        assert self.sigterm_at is not None
        return self.sigterm_at
