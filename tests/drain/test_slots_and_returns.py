"""Single schedules, worked out by hand: which slots are due, when the next is, who returns when."""

from __future__ import annotations

import math

import pytest

from tidegate.contract.report import Answer, Plan
from tidegate.drain.orders import Order, Orders
from tidegate.drain.returns import Return, Returns
from tidegate.drain.slots import CATCH_UP_S, Slots

EVEN = Slots(100.0, 110.0, None)
PACED = Slots(100.0, None, 4.0)


@pytest.mark.parametrize(
    ("slots", "now", "due"),
    [
        (EVEN, 99.0, 0),
        (EVEN, 100.4, 0),
        (EVEN, 100.5, 1),
        (EVEN, 103.4, 3),
        (EVEN, 103.5, 4),
        (EVEN, 110.0, 10),
        (PACED, 99.9, 0),
        (PACED, 100.0, 1),
        (PACED, 100.24, 1),
        (PACED, 100.75, 4),
        (PACED, 200.0, 10),
        (Slots(100.0, 101.0, 4.0), 100.3, 4),
        (Slots(100.0, None, 0.0), 200.0, 0),
        (Slots(100.0, 100.0, None), 100.0, 10),
    ],
)
def test_as_many_of_ten_are_due_as_have_had_their_slot(slots: Slots, now: float, due: int) -> None:
    assert slots.due(now, 10) == due


def test_the_next_slot_is_in_the_middle_of_its_cell_or_at_the_beginning_of_a_paced_one() -> None:
    assert EVEN.next_at(10) == 100.5
    assert EVEN.after(4, 10).next_at(6) == 104.5
    assert PACED.next_at(10) == 100.0
    assert PACED.after(3, 10).next_at(7) == 100.75
    assert PACED.next_at(0) is None
    assert Slots(100.0, None, 0.0).next_at(10) is None
    assert PACED.cell_s(0) == 0.25
    assert EVEN.cell_s(0) == math.inf


def test_a_schedule_makes_up_for_a_cell_and_a_fortieth_of_a_second() -> None:
    behind = 0.25 + CATCH_UP_S
    assert PACED.caught_up(100.0 + behind, 10) == PACED
    late = PACED.caught_up(102.0, 10)
    assert late == Slots(102.0 - behind, None, 4.0)
    assert late.due(102.0, 10) == 2


def test_returns_follow_one_another_at_the_rate_and_a_hundredth() -> None:
    batches, tail = Returns().spread(50.0, 203, 1.0, 100.0, 10.0)
    assert batches[:2] == (Return(2, 1000), Return(2, 1020))
    assert batches[-1] == Return(1, 3000)
    assert tail.last_at == pytest.approx(53.0)
    (after, *_), _ = tail.spread(50.0, 1, 1.0, 100.0, 10.0)
    assert after == Return(1, 3010)


def test_returns_that_a_late_timer_delays_a_little_keep_their_retry() -> None:
    batches, _ = Returns(last_at=51.03).spread(50.0, 1, 1.0, 100.0, 10.0)
    assert batches == (Return(1, 1000),)
    batches, _ = Returns(last_at=51.05).spread(50.0, 1, 1.0, 100.0, 10.0)
    assert batches == (Return(1, 1060),)
    assert Returns(last_at=7.0).spread(50.0, 0, 1.0, 100.0, 10.0) == ((), Returns(7.0))


def test_an_order_replaces_the_last_one_with_its_count_and_a_stale_one_nothing() -> None:
    orders = Orders()
    assert orders.left() is None
    assert orders.receive(Answer(5, True, Plan("drain", rate_per_s=9.0, count=10)), 20.0) == "taken"
    orders.taken = 7
    assert orders.left() == 3
    for seq, reception in ((5, "repeated"), (4, "stale")):
        assert orders.receive(Answer(seq, False, Plan("wait")), 30.0) == reception
    assert (orders.seq, orders.admitted, orders.left()) == (5, True, 3)
    assert orders.order is not None
    assert orders.order.received_at == 20.0
    orders.taken = 12
    assert orders.left() == 0
    assert orders.receive(Answer(6, False, None), 31.0) == "taken"
    order: Order | None = orders.order
    assert (orders.seq, orders.admitted, order, orders.taken) == (6, False, None, 0)
