"""The report book: when a held request is answered, and with which sequence number."""

from __future__ import annotations

import asyncio

import pytest
from kit.clocks import Clock
from operator_shell.fakes import report

from tidegate.contract.report import HOLD_S, RESTING_REPORT_S, Answer, Plan
from tidegate_operator.reports import LEAST_HOLD_S, PodPlan, ReportBook

HELD_S = 60.0
WAIT = PodPlan(admitted=False, plan=Plan("wait"), report_every_s=0.25)
DRAIN = PodPlan(admitted=False, plan=Plan("drain", rate_per_s=50.0), report_every_s=0.25)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> ReportBook:
    return ReportBook(clock, hold_s=HELD_S)


async def held(book: ReportBook, seq: int = 1, plan_seq: int = 0) -> asyncio.Task[Answer]:
    """A report that is being held, unless it was answered at once."""
    task = asyncio.create_task(book.answer(report("a", seq, plan_seq=plan_seq)))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def test_a_report_waits_for_the_first_decision(book: ReportBook) -> None:
    waiting = await held(book)
    assert not waiting.done()
    book.decide("a", WAIT)
    answer = await waiting
    assert (answer.seq, answer.admitted, answer.plan) == (1, False, Plan("wait"))


async def test_the_same_decision_again_is_no_news(book: ReportBook) -> None:
    waiting = await held(book)
    book.decide("a", WAIT)
    await waiting
    again = await held(book, 2, plan_seq=1)
    book.decide("a", WAIT)
    await asyncio.sleep(0)
    assert not again.done()
    book.decide("a", DRAIN)
    assert (await again).plan == DRAIN.plan
    book.close()


async def test_a_plan_in_force_is_renewed(book: ReportBook, clock: Clock) -> None:
    book.close()
    await book.answer(report("a"))
    book.decide("a", WAIT)
    first = await book.answer(report("a", 2))
    clock.now += 1.1
    book.decide("a", WAIT)
    renewed = await book.answer(report("a", 3, plan_seq=first.seq))
    assert renewed.seq == first.seq + 1
    assert renewed.plan == WAIT.plan


async def test_an_answer_that_never_arrived_is_said_again(book: ReportBook) -> None:
    waiting = await held(book)
    book.decide("a", DRAIN)
    lost = await waiting
    again = await book.answer(report("a", 2, plan_seq=0))
    assert again.plan == DRAIN.plan
    assert again.seq > lost.seq


async def test_without_news_the_hold_ends_with_the_same_sequence_number(clock: Clock) -> None:
    book = ReportBook(clock, hold_s=0.01)
    await book.answer(report("a"))
    book.decide("a", WAIT)
    first = await book.answer(report("a", 2))
    repeated = await book.answer(report("a", 3, plan_seq=first.seq))
    assert repeated.seq == first.seq


async def test_a_new_leader_goes_on_above_what_the_pod_has_seen(book: ReportBook) -> None:
    waiting = await held(book, plan_seq=41)
    book.decide("a", WAIT)
    assert (await waiting).seq == 42


async def test_a_newer_report_frees_the_held_one(book: ReportBook) -> None:
    older = await held(book)
    newer = await held(book, 2)
    assert (await older).plan is None
    assert not newer.done()
    book.decide("a", DRAIN)
    assert (await newer).plan == DRAIN.plan


async def test_an_old_report_does_not_overwrite_a_newer_one(book: ReportBook) -> None:
    book.close()
    await book.answer(report("a", 5, streams=50))
    await book.answer(report("a", 4, streams=40))
    latest = book.latest("a")
    assert latest is not None
    assert latest[0].streams == 50
    await book.answer(report("a", 1, streams=0))  # the sidecar was restarted
    latest = book.latest("a")
    assert latest is not None
    assert latest[0].streams == 0


async def test_reports_have_an_age_and_gone_pods_are_forgotten(
    book: ReportBook, clock: Clock
) -> None:
    waiting = await held(book)
    clock.now += 3.0
    latest = book.latest("a")
    assert latest is not None
    assert latest[1] == pytest.approx(3.0)
    clock.now += 2 * HELD_S
    book.keep_only({"b"})
    assert book.latest("a") is None
    await waiting


async def test_a_pod_that_is_in_nobodys_plan_is_held_like_any_other(
    book: ReportBook, clock: Clock
) -> None:
    """One without a controller; answered at once, it would report for ever as fast as it can."""
    first = await held(book)
    book.keep_only(set())
    answer = await first
    assert (answer.plan, answer.report_every_s) == (None, RESTING_REPORT_S)
    second = asyncio.create_task(book.answer(report("a", seq=2, plan_seq=answer.seq)))
    await asyncio.sleep(0)
    book.keep_only(set())
    await asyncio.sleep(0)
    assert not second.done()
    assert book.latest("a") is not None
    book.close()
    await second


async def test_a_small_fleet_is_answered_often_and_a_large_one_seldom() -> None:
    """Often enough that a stopped leader is noticed before its Lease is over."""
    book = ReportBook(Clock())
    book.close()
    told = [(await book.answer(report(f"pod-{n}"))).hold_s for n in range(1000)]
    assert told[0] == told[199] == LEAST_HOLD_S
    assert told[499] == 10.0
    assert told[999] == HOLD_S
