"""A store that comes back without its end: no event twice, no silent loss, for every pod."""

from __future__ import annotations

import shutil

import pytest
from backplane.conftest import Everyone, Pod, World
from backplane.links import Link
from kit.nats_server import NatsServer
from kit.recorder import Recorder
from kit.waiting import until

from tidegate.wire.cursors import Cursor


class Copies:
    """Copies of a server's store; a restored one is what a power cut or a backup leaves."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.store = server.directory / "store"
        self.kept = server.directory / "kept"

    async def keep(self) -> None:
        await self.server.stop()
        shutil.copytree(self.store, self.kept)
        await self.server.start()

    async def restore(self) -> None:
        await self.server.kill()
        shutil.rmtree(self.store)
        shutil.copytree(self.kept, self.store)
        await self.server.start()


@pytest.fixture
def copies(nats_world: World) -> Copies:
    return Copies(nats_world.server)


def seen(reader: Recorder, cursor: Cursor) -> int:
    assert reader.lives is not None
    return reader.lives.seen(cursor)


async def publish(pod: Pod, everyone: Everyone, *data: object) -> list[Cursor]:
    return [await pod.append(everyone(str(one))) for one in data]


async def test_a_fresh_pod_begins_a_new_life_where_no_other_has_read_the_log(
    nats_world: World, copies: Copies, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    await publish(pod, everyone, *range(10))
    await copies.keep()
    (*_, last) = await publish(pod, everyone, *range(10, 60))
    assert last == Cursor(reader.epoch, 60)
    await pod.stop()
    await copies.restore()
    fresh, anew = await nats_world.pod()
    assert anew.epoch != reader.epoch
    assert seen(anew, last) == 10, "what the client had seen is not sent again"
    assert seen(anew, Cursor(reader.epoch, 7)) == 7, "and what is still there, is"
    assert (await publish(fresh, everyone, "new")) == [Cursor(anew.epoch, 11)]
    _, later = await nats_world.pod()
    assert later.lives == anew.lives
    assert later.data == [*map(str, range(10)), "new"]


async def test_a_pod_that_survived_reads_only_what_is_new(
    nats_world: World, copies: Copies, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    await publish(pod, everyone, *range(10))
    await copies.keep()
    await publish(pod, everyone, *range(10, 60))
    await reader.until(lambda r: r.position == 60)
    await copies.restore()
    (cursor,) = await publish(pod, everyone, "new")
    await reader.until(lambda r: r.data[-1] == "new")
    (before, _), (after, position) = reader.epochs
    assert (cursor.epoch, position) == (after, 10)
    assert after != before
    assert reader.data == [*map(str, range(60)), "new"], "nothing a second time"
    _, fresh = await nats_world.pod()
    assert fresh.lives == reader.lives


async def test_a_second_loss_of_the_same_copy_is_another_life(
    nats_world: World, copies: Copies, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    await publish(pod, everyone, *range(10))
    await copies.keep()
    epochs = [reader.epoch]
    for n in range(2):
        await publish(pod, everyone, *range(5))
        await pod.stop()
        await copies.restore()
        pod, reader = await nats_world.pod()
        epochs.append(reader.epoch)
        unknown = Cursor(epochs[1], 15)
        assert n == 0 or seen(reader, unknown) == 10, "a life that the copy does not know"
    assert len(set(epochs)) == 3


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_server_that_lost_nothing_keeps_its_epoch_while_a_pod_survives(
    nats_world: World, everyone: Everyone, end: str
) -> None:
    pod, reader = await nats_world.pod()
    await publish(pod, everyone, *range(10))
    await reader.until(lambda r: r.position == 10)
    await getattr(nats_world.server, end)()
    await nats_world.server.start()
    _, fresh = await nats_world.pod()
    await publish(pod, everyone, "new")
    await reader.until(lambda r: r.data[-1] == "new")
    assert [epoch for epoch, _ in reader.epochs] == [reader.epoch]
    assert fresh.epoch == reader.epoch


async def test_pods_that_start_while_the_server_runs_need_nobody_to_vouch(
    nats_world: World, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    await publish(pod, everyone, *range(10))
    await pod.stop()
    _, alone = await nats_world.pod()
    assert alone.epoch == reader.epoch


async def test_a_loss_that_only_one_pod_can_see_is_a_new_life_for_all(
    nats_world: World, copies: Copies, everyone: Everyone
) -> None:
    link = Link(nats_world.server.port)
    await link.mend()
    ahead, reader = await nats_world.pod(url=link.url)
    behind, other = await nats_world.pod()
    await publish(behind, everyone, *range(10))
    await other.until(lambda r: r.position == 10)
    await copies.keep()
    # The one pod reads on, the other one is stopped and comes back with what the copy has.
    await until(lambda: not (ahead.degraded or behind.degraded))
    await behind.stop()
    await publish(ahead, everyone, *range(10, 20))
    await reader.until(lambda r: r.position == 20)
    await link.cut()
    await copies.restore()
    behind, other = await nats_world.pod()
    lost = [epoch for epoch, _ in reader.epochs][-1]
    # The numbers that were lost name other events before the pod that knows of it is back.
    await publish(behind, everyone, *(f"new{n}" for n in range(15)))
    await link.mend()
    await reader.until(lambda r: r.epoch != lost)
    await until(lambda: reader.epoch == other.epoch)
    await publish(ahead, everyone, "end")
    await other.until(lambda r: r.data[-1] == "end")
    await reader.until(lambda r: r.data[-1] == "end")
    assert len(set(reader.data)) == len(reader.data), "nothing a second time"
    await ahead.stop()
    await link.cut()
