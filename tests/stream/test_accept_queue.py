"""The queue at the door: a wave comes back at the pod's rate, each client at its slot."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.score.measures import peak_in_window
from tidegate.stream.queue import (
    BURST_S,
    LATE_S,
    LEAST_WAIT_S,
    MOST_WAIT_S,
    AcceptQueue,
    new_streams_per_s,
)

RATES = st.floats(1.0, 5000.0)


def wave(
    queue: AcceptQueue, clients: int, late_s: Callable[[], float] = lambda: 0.0
) -> tuple[list[float], list[int]]:
    """All clients at once, each back `late_s()` after its slot: when let in, and their attempts."""
    asking = [(0.0, number) for number in range(clients)]
    attempts = [0] * clients
    let_in_s = []
    while asking:
        now, number = heapq.heappop(asking)
        attempts[number] += 1
        if queue.has_room(now):
            queue.take()
            let_in_s.append(now)
        else:
            heapq.heappush(asking, (now + queue.slot_ms(now) / 1000 + late_s(), number))
    return let_in_s, attempts


@given(RATES, st.integers(1, 300))
def test_a_client_that_comes_at_its_slot_is_let_in(rate_per_s: float, clients: int) -> None:
    let_in_s, attempts = wave(AcceptQueue(rate_per_s), clients)
    assert max(attempts) <= 2
    assert let_in_s[-1] <= clients / rate_per_s + LEAST_WAIT_S + 1.0 / rate_per_s


@given(RATES, st.integers(1, 300))
def test_no_second_takes_more_than_the_rate_and_a_tenth(rate_per_s: float, clients: int) -> None:
    let_in_s, _ = wave(AcceptQueue(rate_per_s), clients)
    assert peak_in_window(let_in_s) <= rate_per_s + max(1.0, rate_per_s * BURST_S) + 1


@given(st.randoms(use_true_random=False), st.floats(20.0, 1000.0))
def test_late_clients_find_their_token(rng: random.Random, rate_per_s: float) -> None:
    # 500 ms: Firefox, whatever its slot; the rest is the network.
    _, attempts = wave(AcceptQueue(rate_per_s), 300, lambda: rng.choice((0.0, 0.05, 0.5)))
    assert sum(attempts) / len(attempts) <= 2.0
    assert max(attempts) <= 2


def test_a_token_of_a_client_that_never_comes_is_kept_for_a_while() -> None:
    queue = AcceptQueue(100.0)
    while queue.has_room(0.0):
        queue.take()
    assert queue.slot_ms(0.0) == pytest.approx(LEAST_WAIT_S * 1000, abs=1)
    waits_s = [queue.slot_ms(0.0) / 1000 for _ in range(1000)]
    assert waits_s[-1] == pytest.approx(10.0, abs=0.2)
    let_in = 0
    while queue.has_room(5.0):
        queue.take()
        let_in += 1
    assert let_in == pytest.approx(100.0 * LATE_S, abs=1)


def test_a_queue_whose_last_slot_has_passed_is_at_rest() -> None:
    queue = AcceptQueue(100.0)
    while queue.has_room(0.0):
        queue.take()
    queue.slot_ms(0.0)
    let_in = 0
    while queue.has_room(60.0):
        queue.take()
        let_in += 1
    assert let_in == 100.0 * BURST_S


def test_clients_that_the_queue_has_no_slot_for_do_not_return_as_one_wave() -> None:
    queue = AcceptQueue(1.0)
    waits_s = [queue.slot_ms(0.0) / 1000 for _ in range(5000)]
    assert max(waits_s) <= MOST_WAIT_S
    beyond = sorted(waits_s[300:])
    assert beyond[0] >= MOST_WAIT_S / 2
    assert peak_in_window(beyond) <= 1.1 * len(beyond) / (MOST_WAIT_S / 2) + 1


def test_the_least_wait_of_a_pod_that_takes_no_streams_holds() -> None:
    queue = AcceptQueue(10.0)
    assert [queue.slot_ms(0.0, 1.0) for _ in range(3)] == [1000, 1100, 1200]


def test_the_rate_is_the_pods_own_where_one_is_set() -> None:
    streams = StreamSettings(accept_rate_per_s=400.0)
    assert new_streams_per_s(streams, Limits()) == 400.0
    assert new_streams_per_s(streams, Limits(max_new_streams_per_s=50.0)) == 50.0
