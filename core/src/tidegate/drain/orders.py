"""The operator's orders, and how long each is valid.

Answers travel over a held request and may arrive late, twice or from an old leader, so each has a
sequence number that only grows for a pod, and a plan binds only for `valid_for_s` from receipt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tidegate.contract.report import Answer, Plan

Reception = Literal["taken", "repeated", "stale"]


@dataclass(frozen=True, slots=True)
class Order:
    """A plan and when it was received (seconds on the caller's clock)."""

    seq: int
    plan: Plan
    received_at: float

    @property
    def start_at(self) -> float:
        """When its first stream may go."""
        return self.received_at + self.plan.start_in_s

    @property
    def valid_until(self) -> float:
        """When it stops to bind unless it is renewed."""
        return self.received_at + self.plan.valid_for_s

    @property
    def deadline_at(self) -> float | None:
        """By when the operator wants all streams gone."""
        in_s = self.plan.deadline_in_s
        return None if in_s is None else self.received_at + in_s


@dataclass(slots=True)
class Orders:
    """The last order taken, and counts of the answers that were not."""

    seq: int = 0
    order: Order | None = None
    admitted: bool = True
    taken: int = 0
    """Streams let go under the present order."""

    received: dict[Reception, int] = field(
        default_factory=lambda: {"taken": 0, "repeated": 0, "stale": 0}
    )

    def receive(self, answer: Answer, now: float) -> Reception:
        """Take an answer, unless its `seq` is not above the last one's; returns which it was.

        A repeated one is the operator saying "no news"; it does not renew a plan's validity.
        """
        reception: Reception = "taken"
        if answer.seq == self.seq:
            reception = "repeated"
        elif answer.seq < self.seq:
            reception = "stale"
        self.received[reception] += 1
        if reception == "taken":
            self.seq = answer.seq
            self.admitted = answer.admitted
            self.order = None if answer.plan is None else Order(answer.seq, answer.plan, now)
            self.taken = 0
        return reception

    def left(self) -> int | None:
        """How many streams the order still lets go; ``None``: as many as there are."""
        if self.order is None or self.order.plan.count is None:
            return None
        return max(0, self.order.plan.count - self.taken)
