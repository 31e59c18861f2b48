"""The promises of the log: the same tests against every backplane."""

import asyncio

import pytest
from backplane.conftest import Everyone, World
from kit.waiting import until

from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate.contract.publish import Publish, To


async def test_an_event_comes_back_as_it_was_at_the_acknowledged_position(world: World) -> None:
    pod, reader = await world.pod()
    sent = [
        Publish(To(client="42"), "für dich ✓", "greeting"),
        Publish(To(topics=("a", "b/c")), '{"x":1}\nsecond line'),
        Publish(To(everyone=True), ""),
    ]
    positions = [await pod.append(p) for p in sent]
    await reader.until(lambda r: len(r.entries) == 3)
    assert [(e.to, e.data, e.event) for e in reader.entries] == [
        (p.to, p.data, p.event) for p in sent
    ]
    assert reader.seqs == [p.seq for p in positions]
    assert {p.epoch for p in positions} == {reader.epoch}


async def test_many_in_flight_are_all_acknowledged_and_read_in_order_once(
    world: World, everyone: Everyone
) -> None:
    pod, reader = await world.pod()
    reader.slow_s = 0.002
    positions = await asyncio.gather(*(pod.append(everyone(str(i))) for i in range(3000)))
    assert len({p.seq for p in positions}) == 3000
    await reader.until(lambda r: len(r.entries) == 3000)
    assert reader.seqs == sorted(p.seq for p in positions)
    assert reader.data == [str(i) for i in range(3000)], "sent in order, stored in order"


async def test_a_key_makes_a_repeated_publish_the_same_event(
    world: World, everyone: Everyone
) -> None:
    pod, reader = await world.pod()
    first = await pod.append(everyone("one", key="order 7/ä"))
    again = await pod.append(everyone("one", key="order 7/ä"))
    other = await pod.append(everyone("two", key=" order 7/ä"))
    assert again == first
    assert other != first
    await reader.until(lambda r: r.position >= other.seq)
    assert reader.data == ["one", "two"]
    assert pod.counters["duplicates"] == 1


async def test_a_key_with_another_event_is_refused(world: World, everyone: Everyone) -> None:
    pod, _ = await world.pod()
    first = await pod.append(everyone("one", key="k"))
    for other in (everyone("two", key="k"), everyone("one", key="k", event="e")):
        with pytest.raises(CallerError) as caught:
            await pod.append(other)
        assert (caught.value.code, caught.value.field) == ("key_reused", "key")
        assert caught.value.status == 422
    assert await pod.append(everyone("one", key="k")) == first


async def test_the_same_key_at_the_same_time_is_one_event(world: World, everyone: Everyone) -> None:
    pod, reader = await world.pod()
    positions = await asyncio.gather(*(pod.append(everyone("x", key="k")) for _ in range(50)))
    assert len(set(positions)) == 1
    after = await pod.append(everyone("end"))
    await reader.until(lambda r: r.position >= after.seq)
    assert reader.data == ["x", "end"]


async def test_an_empty_log_is_filled_at_once_and_not_degraded(world: World) -> None:
    pod, reader = await world.pod()
    assert reader.epochs == [(reader.epoch, 0)]
    assert reader.entries == []
    await until(lambda: not pod.degraded)


async def test_a_log_that_was_not_started_accepts_nothing(world: World, everyone: Everyone) -> None:
    pod, _ = await world.pod(start=False)
    with pytest.raises(BackplaneUnavailableError):
        await pod.append(everyone("lost?"))
    assert pod.counters["unavailable"] == 1


async def test_it_can_be_stopped_twice_and_before_it_was_started(world: World) -> None:
    pod, _ = await world.pod(start=False)
    await pod.stop()
    pod, _ = await world.pod()
    await pod.stop()
    await pod.stop()
