"""The store of acknowledged positions: the same tests against every backplane, then NATS' own."""

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path

import nats
import pytest
from backplane.conftest import Pod, World
from kit.nats_server import NatsServer
from kit.waiting import until

from tidegate.contract.acknowledge import MAX_NAMES_PER_CLIENT, NAMES_LEFT, StreamKey
from tidegate.contract.errors import BackplaneUnavailableError
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane.memory.acks import KEEP_S, MemoryAcks

KEY = StreamKey("a@b.c:~-_", "orders.v2")
OTHERS = [
    StreamKey("a@b.c:~-_", "orders_v2"),
    StreamKey("a@b", "c:~-_.orders.v2"),
    StreamKey("42", "orders.v2"),
]


async def test_an_acknowledged_position_is_kept_per_client_and_name(world: World) -> None:
    pod, reader = await world.pod()
    await pod.acknowledge(KEY, Cursor(reader.epoch, 7))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 7)
    assert [await pod.acknowledged(key) for key in OTHERS] == [None, None, None]


async def test_an_acknowledgement_never_goes_back_in_an_epoch(world: World) -> None:
    pod, reader = await world.pod()
    for seq in (5, 9, 7, 9):
        await pod.acknowledge(KEY, Cursor(reader.epoch, seq))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 9)
    assert pod.counters["acks_kept"] == 2


async def test_the_furthest_of_many_at_a_time_is_kept(world: World) -> None:
    pod, reader = await world.pod()

    async def keep(cursor: Cursor) -> None:
        # On a busy machine the store may not answer the thirtieth in time; clients try again.
        while True:
            with contextlib.suppress(BackplaneUnavailableError):
                return await pod.acknowledge(KEY, cursor)

    await asyncio.gather(*(keep(Cursor(reader.epoch, n)) for n in range(30)))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 29)


async def test_the_present_epoch_replaces_an_older_one_and_not_the_other_way(world: World) -> None:
    pod, reader = await world.pod()
    await pod.acknowledge(KEY, Cursor("older", 900), reader.epoch)
    assert await pod.acknowledged(KEY) == Cursor("older", 900)
    await pod.acknowledge(KEY, Cursor(reader.epoch, 1))
    await pod.acknowledge(KEY, Cursor("older", 901), reader.epoch)
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 1)


async def test_before_the_log_was_started_nothing_is_kept_or_read(nats_world: World) -> None:
    pod, _ = await nats_world.pod(start=False)
    with pytest.raises(BackplaneUnavailableError):
        await pod.acknowledge(KEY, Cursor("e", 1))
    with pytest.raises(BackplaneUnavailableError):
        await pod.acknowledged(KEY)


async def test_names_without_end_push_out_positions_of_their_own_client_only(world: World) -> None:
    pod, reader = await world.pod()
    flood = [StreamKey("flood", f"s{n}") for n in range(MAX_NAMES_PER_CLIENT + 1)]
    assert not await pod.may_have_evicted(OTHERS[2])
    for key in (KEY, *flood):
        await pod.acknowledge(key, Cursor(reader.epoch, 7))
    kept = [await pod.acknowledged(key) is not None for key in flood]
    evicted = MAX_NAMES_PER_CLIENT - NAMES_LEFT
    assert kept == [False] * evicted + [True] * (NAMES_LEFT + 1)
    assert pod.counters["acks_evicted"] == evicted
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 7)
    assert await pod.may_have_evicted(flood[0])
    assert not await pod.may_have_evicted(OTHERS[0])


async def test_a_full_store_may_have_evicted_anything(nats_world: World) -> None:
    pod, reader = await nats_world.pod(keep_acks_bytes=2048)
    for n in range(20):
        await pod.acknowledge(StreamKey(f"{n}", "s"), Cursor(reader.epoch, 7))
    assert await pod.acknowledged(StreamKey("0", "s")) is None
    assert await pod.may_have_evicted(StreamKey("0", "s"))


async def test_memory_is_bounded_in_number_and_in_time() -> None:
    now = 0.0
    acks = MemoryAcks(lambda: now, {"acks_kept": 0, "acks_evicted": 0}, max_kept=2)
    keys = [StreamKey(str(n), "s") for n in range(3)]
    for key in (keys[0], keys[1]):
        await acks.keep(key, Cursor("e", 1), "e")
    await acks.keep(keys[0], Cursor("e", 2), "e")
    await acks.keep(keys[2], Cursor("e", 1), "e")
    assert [await acks.read(key) for key in keys] == [Cursor("e", 2), None, Cursor("e", 1)]
    now = KEEP_S
    assert [await acks.read(key) for key in keys] == [None, None, None]


async def test_a_position_kept_by_one_pod_is_read_by_another_at_once(nats_world: World) -> None:
    (one, reader), (two, _) = await nats_world.pod(), await nats_world.pod()
    for seq in range(1, 20):
        writer, asked = (one, two) if seq % 2 else (two, one)
        await writer.acknowledge(KEY, Cursor(reader.epoch, seq))
        assert await asked.acknowledged(KEY) == Cursor(reader.epoch, seq)


async def test_pods_that_write_at_the_same_time_never_move_a_position_back(
    nats_world: World,
) -> None:
    pods = [await nats_world.pod() for _ in range(3)]
    epoch = pods[0][1].epoch

    async def acknowledge(pod: Pod, first: int) -> None:
        for seq in range(first, 90, 3):
            await pod.acknowledge(KEY, Cursor(epoch, seq))
            kept = await pod.acknowledged(KEY)
            assert kept is not None
            assert kept.seq >= seq

    await asyncio.gather(*(acknowledge(pod, n) for n, (pod, _) in enumerate(pods)))
    assert await pods[0][0].acknowledged(KEY) == Cursor(epoch, 89)


async def test_a_broker_out_of_reach_is_an_error_soon_and_kept_positions_survive_it(
    nats_world: World,
) -> None:
    pod, reader = await nats_world.pod()
    await pod.acknowledge(KEY, Cursor(reader.epoch, 3))
    await nats_world.server.kill()
    await until(lambda: pod.degraded)
    before = time.monotonic()
    with pytest.raises(BackplaneUnavailableError):
        await pod.acknowledge(KEY, Cursor(reader.epoch, 4))
    with pytest.raises(BackplaneUnavailableError):
        await pod.acknowledged(KEY)
    assert time.monotonic() - before < 1.0
    assert pod.counters["acks_unavailable"] == 2
    await nats_world.server.start()
    await until(lambda: not pod.degraded)
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 3)
    await pod.acknowledge(KEY, Cursor(reader.epoch, 4))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 4)


async def test_a_bucket_that_was_deleted_is_made_anew(nats_world: World) -> None:
    pod, reader = await nats_world.pod()
    await pod.acknowledge(KEY, Cursor(reader.epoch, 3))
    connection = await nats.connect(nats_world.server.url)
    await connection.jetstream().delete_stream("KV_APP-acks")
    await connection.close()
    await pod.acknowledge(KEY, Cursor(reader.epoch, 4))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 4)


async def test_positions_take_bounded_room_and_the_oldest_goes_first(nats_world: World) -> None:
    pod, reader = await nats_world.pod(keep_acks_bytes=4096)
    keys = [StreamKey(f"client{n}", "s") for n in range(100)]
    for key in keys:
        await pod.acknowledge(key, Cursor(reader.epoch, 1))
    assert await pod.acknowledged(keys[0]) is None
    assert await pod.acknowledged(keys[-1]) == Cursor(reader.epoch, 1)


async def test_a_position_takes_no_more_room_than_documented(nats_world: World) -> None:
    pod, reader = await nats_world.pod()
    for n in range(20):
        key = StreamKey(f"0b7cbd2e-6c1f-4f3e-9a57-{n:012d}", "orders")
        await pod.acknowledge(key, Cursor(reader.epoch, 10**12))
    async with await nats.connect(nats_world.server.url) as connection:
        state = (await connection.jetstream().stream_info("KV_APP-acks")).state
    assert state.messages == 20
    assert state.bytes / state.messages <= 256


async def test_a_store_without_room_for_positions_is_logged_once_and_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tidegate.backplane")
    server = NatsServer(tmp_path / "nats", more="jetstream { max_file_store: 30MB }")
    await server.start()
    world = World(server)
    pod, reader = await world.pod()
    for seq in (1, 2):
        with pytest.raises(BackplaneUnavailableError):
            await pod.acknowledge(KEY, Cursor(reader.epoch, seq))
    logged = [r.getMessage() for r in caplog.records]
    assert len(logged) == 1
    assert "KV_APP-acks, which reserves 32 MiB: insufficient storage" in logged[0]
    assert not pod.degraded
    await world.stop()
    await server.stop()


async def test_positions_are_kept_for_a_bounded_time(nats_world: World) -> None:
    pod, reader = await nats_world.pod(keep_acks_s=1.0)
    await pod.acknowledge(KEY, Cursor(reader.epoch, 1))
    assert await pod.acknowledged(KEY) is not None
    give_up_at = time.monotonic() + 15
    while await pod.acknowledged(KEY) is not None:
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.05)
    await pod.acknowledge(KEY, Cursor(reader.epoch, 1))
    assert await pod.acknowledged(KEY) == Cursor(reader.epoch, 1), (
        "a repeated position is stored again"
    )


async def test_people_can_read_and_delete_positions_as_a_kv_bucket(nats_world: World) -> None:
    pod, reader = await nats_world.pod()
    await pod.acknowledge(StreamKey("a.b", "s"), Cursor(reader.epoch, 5))
    connection = await nats.connect(nats_world.server.url)
    bucket = await connection.jetstream().key_value("APP-acks")
    assert (await bucket.get("a=2Eb.s")).value == f"{reader.epoch}-5".encode()
    await bucket.put("a=2Eb.s", json.dumps("not ours").encode())
    assert await pod.acknowledged(StreamKey("a.b", "s")) is None
    await pod.acknowledge(StreamKey("a.b", "s"), Cursor(reader.epoch, 5))
    await bucket.delete("a=2Eb.s")
    await connection.close()
    assert await pod.acknowledged(StreamKey("a.b", "s")) is None
    await pod.acknowledge(StreamKey("a.b", "s"), Cursor(reader.epoch, 2))
    assert await pod.acknowledged(StreamKey("a.b", "s")) == Cursor(reader.epoch, 2)
