"""The one conversation between sidecar and operator: a report goes up, an answer comes back.

The sidecar posts its report and the operator holds the request until it has news for that pod, or
for the hold time of its last answer. Durations are relative to receipt, because clocks differ;
sequence numbers order two documents.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tidegate.contract.errors import DocumentError
from tidegate.contract.fields import Fields
from tidegate.contract.names import SCHEMA_VERSION
from tidegate.contract.stream_events import MIN_RETRY_MS

HOLD_S = 15.0
"""The longest that the operator may hold a report without news."""

PLAN_VALID_S = 3.0
"""How long a plan binds without another answer; then the pod's own plan goes on."""

PLAN_WAIT_S = 2.0
"""How long a pod with an operator waits after preStop for a first plan."""

RESTING_REPORT_S = 15.0
ROLLING_REPORT_S = 0.25

DEGRADED_BACKPLANE = "backplane"
"""A report's ``degraded``: the log is out of reach, or late."""

DEGRADED_BACKPLANE_FULL = "backplane-full"
"""The store has no room for the application's log, so the pod never gets ready."""

MOST_STREAMS = 10_000_000
"""As the setting `max_streams` allows."""

MOST_RATE_PER_S = 1e9
MOST_AGE_S = 1e9
"""Thirty years, more than any drain lasts."""

MOST_RETRY_MS = 3_600_000

PodState = Literal["starting", "ready", "draining", "drained", "stopping"]
POD_STATES: tuple[PodState, ...] = ("starting", "ready", "draining", "drained", "stopping")

MAX_PROBLEM_LENGTH = 500
"""Characters of a report's ``problem``: it ends up in an Event, which takes 1,024."""

PlanKind = Literal["wait", "drain", "shed"]
PLAN_KINDS: tuple[PlanKind, ...] = ("wait", "drain", "shed")


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a pod.

    `streams` are open now; `arrived_total` and `ended_total` only grow, so that two reports give
    a rate even when arrivals and endings cancel out. `drain_started_s` is the age of the drain
    and `deadline_in_s` what is left of it. `degraded` is ``None`` or one of ``DEGRADED_…``;
    `problem` is its cause with the fix, for people, at most `MAX_PROBLEM_LENGTH` characters.
    """

    uid: str
    seq: int
    streams: int
    arrived_total: int
    ended_total: int
    state: PodState
    plan_seq: int
    rate_limit_per_s: float
    version: str
    drain_started_s: float | None = None
    deadline_in_s: float | None = None
    degraded: str | None = None
    problem: str | None = None
    schema: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """The document as sent."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Report:
        """Read a report; raises `DocumentError`, also for a schema this version does not know."""
        f = Fields("report", value)
        schema = f.integer("schema")
        if schema != SCHEMA_VERSION:
            raise DocumentError("report", "schema", f"must be {SCHEMA_VERSION}, is {schema}")
        state = f.text("state", POD_STATES)
        return cls(
            uid=f.text("uid"),
            seq=f.integer("seq"),
            streams=f.integer("streams", most=MOST_STREAMS),
            arrived_total=f.integer("arrived_total"),
            ended_total=f.integer("ended_total"),
            state=next(s for s in POD_STATES if s == state),
            plan_seq=f.integer("plan_seq"),
            rate_limit_per_s=f.number("rate_limit_per_s", most=MOST_RATE_PER_S),
            version=f.text("version", most=64),
            drain_started_s=f.optional_number("drain_started_s", most=MOST_AGE_S),
            deadline_in_s=f.optional_number("deadline_in_s", most=MOST_AGE_S),
            degraded=f.optional_text("degraded", most=64),
            problem=f.optional_text("problem", most=MAX_PROBLEM_LENGTH),
            schema=schema,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pod shall do with its streams.

    ``wait``: let none go yet. ``drain``: starting in `start_in_s`, let `rate_per_s` go until
    `count` are gone (``None``: all). ``shed``: the same for a healthy pod, which always has a
    count. A client let go gets a `retry:` of `retry_ms`, or a later one, so that at most
    `returns_per_s` come back (``None``: `rate_per_s`). Without another answer within
    `valid_for_s` a draining pod goes on by its own plan and a shedding one stops.
    """

    kind: PlanKind
    start_in_s: float = 0.0
    rate_per_s: float = 0.0
    count: int | None = None
    retry_ms: int = 1000
    deadline_in_s: float | None = None
    valid_for_s: float = PLAN_VALID_S
    returns_per_s: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The document as sent."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Plan:
        """Read a plan; raises `DocumentError`."""
        f = Fields("plan", value)
        kind = f.text("kind", PLAN_KINDS)
        return cls(
            kind=next(k for k in PLAN_KINDS if k == kind),
            start_in_s=f.number("start_in_s"),
            rate_per_s=f.number("rate_per_s"),
            count=f.optional_integer("count"),
            retry_ms=f.integer("retry_ms", least=MIN_RETRY_MS, most=MOST_RETRY_MS),
            deadline_in_s=f.optional_number("deadline_in_s"),
            valid_for_s=f.number("valid_for_s"),
            returns_per_s=f.optional_number("returns_per_s", most=MOST_RATE_PER_S),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The operator's answer: whether the pod is admitted, and its plan.

    `seq` only grows for a pod, also across leaders; an answer with a `seq` not above the last
    one is stale. `report_every_s` is how soon changed counts must be reported: a
    quarter of a second while it moves streams, 15 s at rest, so that an idle fleet costs nothing.
    `hold_s` is how long the next report may be held: an operator that is silent for longer is no
    more, and the sidecar looks for its successor.
    """

    seq: int
    admitted: bool
    plan: Plan | None = None
    report_every_s: float = RESTING_REPORT_S
    hold_s: float = HOLD_S

    def to_json(self) -> dict[str, Any]:
        """The document as sent."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Answer:
        """Read an answer; raises `DocumentError`."""
        f = Fields("answer", value)
        plan = f.optional("plan")
        hold_s = f.optional_number("hold_s", least=0.01, most=3600)
        return cls(
            seq=f.integer("seq"),
            admitted=f.boolean("admitted"),
            plan=None if plan is None else Plan.from_json(plan),
            report_every_s=f.number("report_every_s", least=0.01, most=3600),
            hold_s=HOLD_S if hold_s is None else hold_s,
        )
