"""Several pods on one JetStream stream, also while its server is away."""

import asyncio
import shutil
from pathlib import Path

import nats
import pytest
from backplane.conftest import Everyone, Pod, World
from backplane.links import Link
from kit.nats_server import NatsServer
from kit.waiting import until

from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate.wire.cursors import Cursor


async def numbers(pod: Pod, everyone: Everyone, first: int, last: int) -> list[Cursor]:
    return await asyncio.gather(*(pod.append(everyone(str(i))) for i in range(first, last)))


async def test_every_pod_reads_the_same_order_under_the_same_ids(
    nats_world: World, everyone: Everyone
) -> None:
    pods = [await nats_world.pod() for _ in range(3)]
    await asyncio.gather(*(numbers(pod, everyone, 0, 200) for pod, _ in pods))
    for _, reader in pods:
        await reader.until(lambda r: len(r.entries) == 600)
    readers = [reader for _, reader in pods]
    assert readers[0].entries == readers[1].entries == readers[2].entries
    assert len({reader.epoch for reader in readers}) == 1


async def test_a_key_holds_across_pods(nats_world: World, everyone: Everyone) -> None:
    (one, reader), (two, _) = await nats_world.pod(), await nats_world.pod()
    assert await one.append(everyone("x", key="k")) == await two.append(everyone("x", key="k"))
    end = await two.append(everyone("end"))
    await reader.until(lambda r: r.position >= end.seq)
    assert reader.data == ["x", "end"]


async def test_a_new_pod_fills_its_ring_with_the_last_events_and_then_lives(
    nats_world: World, everyone: Everyone
) -> None:
    old, _ = await nats_world.pod()
    await numbers(old, everyone, 0, 500)
    _, reader = await nats_world.pod(ring_events=100)
    assert reader.data == [str(i) for i in range(400, 500)], "filled means read"
    assert reader.epochs[0][1] == 400
    await old.append(everyone("live"))
    await reader.until(lambda r: r.data[-1] == "live")


async def test_retention_is_bounded(nats_world: World, everyone: Everyone) -> None:
    old, _ = await nats_world.pod(kept_rings=0.05)
    await numbers(old, everyone, 0, 120)
    _, reader = await nats_world.pod()
    assert reader.data == [str(i) for i in range(70, 120)]
    assert reader.epochs[0][1] == 70


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_broker_that_restarts_loses_and_repeats_nothing(
    nats_world: World, everyone: Everyone, end: str
) -> None:
    pod, reader = await nats_world.pod()
    epoch = reader.epoch
    await numbers(pod, everyone, 0, 50)
    await getattr(nats_world.server, end)()
    await until(lambda: pod.degraded)
    waiting = asyncio.create_task(numbers(pod, everyone, 50, 100))
    await asyncio.sleep(0)
    await nats_world.server.start()
    positions = await waiting
    await reader.until(lambda r: len(r.entries) >= 100)
    await until(lambda: not pod.degraded)
    await pod.append(everyone("end"))
    await reader.until(lambda r: r.data[-1] == "end")
    assert sorted(reader.data[:100], key=int) == [str(i) for i in range(100)]
    assert reader.seqs == sorted(set(reader.seqs))
    assert {p.epoch for p in positions} == {epoch} == {e for e, _ in reader.epochs}


async def test_a_broker_that_syncs_and_is_killed_under_load_keeps_what_it_acknowledged(
    tmp_path: Path, everyone: Everyone
) -> None:
    # Without this setting, the chart's, NATS acknowledges what it has not written yet.
    server = NatsServer(tmp_path / "nats", more="jetstream { sync_interval: always }")
    await server.start()
    world = World(server)
    pod, reader = await world.pod(append_timeout_s=60.0)
    publishing = asyncio.create_task(numbers(pod, everyone, 0, 2000))
    await reader.until(lambda r: len(r.entries) > 200)
    await server.kill()
    await server.start()
    positions = await publishing
    last = max(p.seq for p in positions)
    await reader.until(lambda r: r.position >= last)
    assert sorted(map(int, reader.data)) == list(range(2000))
    assert {p.seq for p in positions} == set(reader.seqs)
    assert len(reader.epochs) == 1
    await world.stop()
    await server.stop()


async def test_without_a_broker_publishing_fails_soon_with_the_cause(
    nats_world: World, everyone: Everyone
) -> None:
    pod, _ = await nats_world.pod(append_timeout_s=0.5)
    await nats_world.server.stop()
    with pytest.raises(BackplaneUnavailableError, match="does not acknowledge"):
        await pod.append(everyone("x"))
    assert pod.degraded
    await nats_world.server.start()


async def test_a_pod_that_starts_without_a_broker_waits_for_it(
    nats_world: World, everyone: Everyone
) -> None:
    await nats_world.server.stop()
    pod, reader = await nats_world.pod(start=False)
    await pod.start(reader)
    with pytest.raises(BackplaneUnavailableError, match="not been reached"):
        await pod.append(everyone("early"))
    assert not reader.is_filled
    await nats_world.server.start()
    await reader.until(lambda r: r.is_filled)
    await pod.append(everyone("now"))
    await reader.until(lambda r: r.data == ["now"])


async def test_a_stream_that_is_made_anew_is_a_new_epoch(
    nats_world: World, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    await numbers(pod, everyone, 0, 10)
    await reader.until(lambda r: len(r.entries) == 10)
    connection = await nats.connect(nats_world.server.url)
    await connection.jetstream().delete_stream("APP")
    await connection.close()
    await reader.until(lambda r: len(r.epochs) == 2)
    position = await pod.append(everyone("again"))
    await reader.until(lambda r: r.data[-1] == "again")
    assert position == (reader.epoch, 1)
    assert reader.epochs[0][0] != reader.epochs[1][0]


async def test_entries_removed_before_they_were_read_are_a_hole_in_the_same_epoch(
    nats_world: World, everyone: Everyone
) -> None:
    link = Link(nats_world.server.port)
    await link.mend()
    cut_off, reader = await nats_world.pod(url=link.url, kept_rings=0.05)
    other, _ = await nats_world.pod()
    await numbers(other, everyone, 0, 10)
    await reader.until(lambda r: r.position == 10)
    await link.cut()
    await until(lambda: cut_off.degraded)
    await numbers(other, everyone, 10, 120)
    await link.mend()
    await reader.until(lambda r: r.position >= 120)
    epoch = reader.epochs[0][0]
    assert reader.epochs == [(epoch, 0), (epoch, 70)]
    assert reader.data == [str(i) for i in (*range(10), *range(70, 120))]
    assert cut_off.counters["holes"] == 1
    await cut_off.stop()
    await link.cut()


async def test_a_store_that_lost_its_end_is_a_new_epoch_for_everyone(
    nats_world: World, everyone: Everyone
) -> None:
    server, kept = nats_world.server, nats_world.server.directory / "kept"
    store = server.directory / "store"
    one, reader_one = await nats_world.pod()
    two, reader_two = await nats_world.pod()
    await numbers(one, everyone, 0, 5)
    await server.stop()
    shutil.copytree(store, kept)
    await server.start()
    await numbers(one, everyone, 5, 10)
    await reader_two.until(lambda r: r.position >= 10)
    await server.stop()
    shutil.rmtree(store)
    shutil.copytree(kept, store)
    await server.start()
    for reader in (reader_one, reader_two):
        await reader.until(lambda r: len(r.epochs) >= 2)
    await until(lambda: reader_one.epoch == reader_two.epoch)
    position = await two.append(everyone("after"))
    assert position.epoch == reader_one.epoch
    assert position.epoch != reader_one.epochs[0][0]
    _, late = await nats_world.pod()
    assert late.epoch == position.epoch


async def test_a_canary_measures_a_quiet_log_and_fills_no_ring(nats_world: World) -> None:
    pods = [await nats_world.pod(canary_every_s=0.2) for _ in range(2)]
    # Which of them sends is open: a canary is as good as an event for the other.
    await until(lambda: sum(pod.counters["canaries"] for pod, _ in pods) >= 4)
    await until(lambda: any(pod.canary_delay_s is not None for pod, _ in pods))
    for _, reader in pods:
        await reader.until(lambda r: r.position >= 4)
        assert reader.entries == []


async def test_a_wedged_subscription_is_noticed_and_renewed(
    nats_world: World, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod(canary_limit_s=0.5)
    before = pod.counters["subscribed"]
    connection = await nats.connect(nats_world.server.url)
    stream = connection.jetstream()
    for consumer in await stream.consumers_info("APP"):
        await stream.delete_consumer("APP", consumer.name)
    await connection.close()
    await pod.append(everyone("through the wall"))
    await reader.until(lambda r: r.data == ["through the wall"])
    # The first event may come before the server has confirmed the subscription.
    await until(lambda: pod.counters["subscribed"] > before and not pod.degraded)


async def test_foreign_messages_are_passed_over_and_counted(
    nats_world: World, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    connection = await nats.connect(nats_world.server.url)
    for body in (b"not json", b"[]", b'{"to":"nobody","data":"x"}', b'{"to":"all","data":5}'):
        await connection.jetstream().publish("tidegate.APP", body)
    await connection.close()
    await pod.append(everyone("ours"))
    await reader.until(lambda r: r.position >= 5)
    assert reader.data == ["ours"]
    await pod.stop()
    assert pod.counters["malformed"] == 4


async def test_an_event_too_big_for_the_store_is_the_callers_mistake(
    nats_world: World, everyone: Everyone
) -> None:
    pod, _ = await nats_world.pod()
    with pytest.raises(CallerError) as caught:
        await pod.append(everyone("x" * 2**20))
    assert (caught.value.status, caught.value.field) == (413, "data")
