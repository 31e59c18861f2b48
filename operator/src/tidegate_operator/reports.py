"""The report book: the last report of each pod, and its request that is held open.

A sidecar posts its report and waits; `answer` holds that request until the decision for the pod
has changed, its plan must be renewed, or the hold time has passed. A newer report of the same pod
supersedes the held one, at the price of its connection; so a pod whose counts keep changing is
answered just before it would hang up (`SHORT_HOLD`), and one without changes is held.
Sequence numbers go on from the highest one the pod has reported, so that
a new leader's answers are never taken for stale ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tidegate.contract.report import HOLD_S, RESTING_REPORT_S, Answer, Plan, Report
from tidegate.rollout.pacing import worth_sending

LEAST_HOLD_S = 4.0
ANSWERS_PER_S = 50.0
"""A report is held no longer than this many answers a second allow, and no less than the first:
short, so that the sidecars of an operator that was stopped have left it before its Lease is over;
long in a large fleet, because an idle one costs nothing but these answers."""

SHORT_HOLD = 0.8
"""The share of its report interval after which a pod with changed counts is answered: soon enough
to come before the sidecar's own watch, which ends the connection.
"""

CHANGING_S = 2.0
"""A pod whose counts changed within this time, or within its interval, is likely to report."""


@dataclass(frozen=True, slots=True)
class PodPlan:
    """What the operator currently wants of one pod."""

    admitted: bool = True
    plan: Plan | None = None
    report_every_s: float = RESTING_REPORT_S


@dataclass(slots=True)
class _Page:
    report: Report
    received_s: float
    decision: PodPlan = PodPlan()
    decided: bool = False
    answered: PodPlan | None = None
    answered_s: float = 0.0
    seq: int = 0
    changed_s: float = float("-inf")
    promised_s: float = HOLD_S
    news: asyncio.Event = field(default_factory=asyncio.Event)


class ReportBook:
    """The latest report of every pod. All calls are made on one event loop.

    `clock` gives monotonic seconds, `hold_s` is the longest hold. `on_report` is called after every
    accepted report, with whether it brings more than new counts: it is the pod's first, or its
    state has changed.
    """

    def __init__(self, clock: Callable[[], float], hold_s: float = HOLD_S) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._pages: dict[str, _Page] = {}
        self._closed = False
        self.on_report: Callable[[bool], None] = _nobody_listens

    @property
    def hold_s(self) -> float:
        """How long a report without news is held now."""
        return min(self._hold_s, max(LEAST_HOLD_S, len(self._pages) / ANSWERS_PER_S))

    def latest(self, uid: str) -> tuple[Report, float] | None:
        """The pod's last report and its age in seconds."""
        page = self._pages.get(uid)
        return None if page is None else (page.report, self._clock() - page.received_s)

    def decide(self, uid: str, decision: PodPlan) -> None:
        """Set the decision for a pod; answers its held request if that changes anything."""
        page = self._pages.get(uid)
        if page is None:
            return
        page.decision, page.decided = decision, True
        if self._is_news(page):
            page.news.set()

    def keep_only(self, uids: Collection[str]) -> None:
        """Forget every pod not in `uids`, once it is silent.

        One that still reports has just been deleted, or has no controller to plan for: it gets the
        answer to serve as usual, and is held like any other.
        """
        for uid in self._pages.keys() - set(uids):
            if self._clock() - self._pages[uid].received_s > 2 * self._hold_s:
                self._pages.pop(uid).news.set()
            else:
                self.decide(uid, PodPlan())

    def recall(self) -> None:
        """Let every held request go with what is known, so that each pod reports anew."""
        for page in self._pages.values():
            page.news.set()

    def close(self) -> None:
        """Let every held request go with what is known; later ones are answered at once."""
        self._closed = True
        self.recall()

    async def answer(self, report: Report) -> Answer:
        """Take a report and come back with the answer, at the latest after the hold time.

        Without news the answer repeats the last sequence number: it only shows that an operator is
        there.
        """
        page = self._take(report)
        mine = page.news
        if not self._is_news(page) and not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._held_for_s(page)):
                    await mine.wait()
        if page.news is mine and self._is_news(page):
            page.seq += 1
            page.answered, page.answered_s = page.decision, self._clock()
            mine.clear()
        told = page.answered or page.decision
        page.promised_s = self.hold_s
        return Answer(page.seq, told.admitted, told.plan, told.report_every_s, page.promised_s)

    def _take(self, report: Report) -> _Page:
        now = self._clock()
        page = self._pages.get(report.uid)
        turned = page is None or _words(page.report) != _words(report)
        if page is None:
            page = _Page(report, now)
            self._pages[report.uid] = page
        elif report.seq >= page.report.seq or report.seq <= 1:  # 1: the process was restarted
            if _counts(page.report) != _counts(report):
                page.changed_s = now
            page.report, page.received_s = report, now
        if report.plan_seq < page.seq:  # the last answer never arrived: repeat it
            page.answered = None
        page.seq = max(page.seq, report.plan_seq)
        page.news.set()
        page.news = asyncio.Event()
        self.on_report(turned)
        return page

    def _held_for_s(self, page: _Page) -> float:
        every_s = (page.answered or page.decision).report_every_s
        if self._clock() - page.changed_s > max(CHANGING_S, every_s):
            return min(self._hold_s, page.promised_s)
        return min(self._hold_s, page.promised_s, SHORT_HOLD * every_s)

    def _is_news(self, page: _Page) -> bool:
        told, wanted = page.answered, page.decision
        if told is None:
            return page.decided
        if (told.admitted, told.report_every_s) != (wanted.admitted, wanted.report_every_s):
            return True
        return worth_sending(wanted.plan, told.plan, self._clock() - page.answered_s)


def _counts(report: Report) -> tuple[int, int]:
    """What a sidecar sends a new report for."""
    return report.arrived_total, report.ended_total


def _words(report: Report) -> tuple[str, str | None, str | None]:
    return report.state, report.degraded, report.problem


def _nobody_listens(_: bool) -> None:
    return None
