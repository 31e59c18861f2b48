"""A server that answers with an error has stored nothing, and its reason reaches the people."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import nats
import pytest
from backplane.conftest import Everyone, Pod, World
from kit.authority import Authority
from kit.nats_server import NatsServer
from kit.waiting import until
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy

from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate.contract.publish import Publish
from tidegate_sidecar.backplane.jetstream.connection import RECONNECT_WAIT_S, Connection
from tidegate_sidecar.backplane.jetstream.problems import problem_of
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings

WITHOUT_A_REASON = ("not been reached yet", "closes the connection")

MakeServer = Callable[..., Awaitable[NatsServer]]


@pytest.fixture
async def broker(nats_world: World) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(nats_world.server.url)
    yield connection.jetstream()
    await connection.close()


def problem_text(pod: Pod) -> str:
    assert pod.problem is not None
    return pod.problem.text


async def refused(pod: Pod, event: Publish) -> str:
    with pytest.raises(BackplaneUnavailableError) as caught:
        await pod.append(event)
    return str(caught.value)


async def test_a_full_stream_is_reported_until_it_has_room_again(
    nats_world: World,
    broker: JetStreamContext,
    everyone: Everyone,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "tidegate.backplane")
    await broker.add_stream(
        name="APP", subjects=["tidegate.APP"], max_msgs=3, discard=DiscardPolicy.NEW
    )
    pod, reader = await nats_world.pod()
    for n in range(3):
        await pod.append(everyone(str(n)))
    for _ in range(5):
        assert "maximum messages exceeded" in await refused(pod, everyone("too many"))
    assert "maximum messages exceeded" in problem_text(pod)
    assert pod.counters["refused"] == 5
    said = [r for r in caplog.records if "maximum messages exceeded" in r.getMessage()]
    assert len(said) == 1, "said once, not for every event"
    await reader.until(lambda r: r.position == 3)
    assert reader.data == ["0", "1", "2"]
    await broker.purge_stream("APP")
    assert (await pod.append(everyone("room"))).seq == 4
    assert pod.problem is None


async def test_an_event_above_the_streams_own_limit_is_the_callers_mistake(
    nats_world: World, broker: JetStreamContext, everyone: Everyone
) -> None:
    await broker.add_stream(name="APP", subjects=["tidegate.APP"], max_msg_size=1000)
    pod, _ = await nats_world.pod()
    with pytest.raises(CallerError, match="message size exceeds maximum allowed") as caught:
        await pod.append(everyone("x" * 2000))
    assert (caught.value.status, caught.value.field) == (413, "data")
    await pod.append(everyone("small"))


async def test_a_store_that_another_stream_has_filled_refuses(
    tmp_path: Path, everyone: Everyone
) -> None:
    server = NatsServer(tmp_path / "nats", more="jetstream { max_file_store: 24MB }")
    await server.start()
    world = World(server)
    async with await nats.connect(server.url) as connection:
        broker = connection.jetstream()
        for name in ("APP", "OTHER"):
            await broker.add_stream(name=name, subjects=[f"tidegate.{name}"])
        pod, _ = await world.pod()
        await pod.append(everyone("first"))
        with suppress(nats.js.errors.APIError):
            while True:
                await broker.publish("tidegate.OTHER", b"x" * 500_000)
        assert "insufficient resources" in await refused(pod, everyone("no room"))
        assert pod.problem is not None
        assert pod.problem.word == "backplane-full"
        await broker.purge_stream("OTHER")
        assert (await pod.append(everyone("second"))).seq == 2
        assert pod.problem is None
    await world.stop()
    await server.stop()


async def test_an_event_just_below_the_servers_limit_costs_no_connection(
    nats_world: World, everyone: Everyone
) -> None:
    pod, reader = await nats_world.pod()
    events = [everyone("x" * size) for size in range(2**20 - 200, 2**20, 10)]
    answers = [await asyncio.gather(pod.append(e), return_exceptions=True) for e in events]
    refusals = [answer for (answer,) in answers if isinstance(answer, CallerError)]
    assert 0 < len(refusals) < len(events)
    assert {error.status for error in refusals} == {413}
    await reader.until(lambda r: len(r.entries) == len(events) - len(refusals))
    assert pod.counters["connected"] == 1


async def connecting(settings: dict[str, Any], server: Any) -> str:
    """The problem of a pod that has tried to connect more than once.

    The first tries may end before the server's reason is read: it hangs up at once.
    """
    world = World(server)
    pod, reader = await world.pod(start=False, **settings)
    await pod.start(reader)
    await until(lambda: not any(words in problem_text(pod) for words in WITHOUT_A_REASON))
    await asyncio.sleep(2 * RECONNECT_WAIT_S)
    await world.stop()
    return problem_text(pod)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nats://127.0.0.1:1", "refuses connections: nothing listens there"),
        ("nats://no-such-host.invalid:4222", "has a host that DNS does not resolve"),
    ],
    ids=["closed port", "unknown host"],
)
async def test_a_server_out_of_reach_is_reported_at_once_with_the_reason(
    url: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tidegate.backplane")
    text = await connecting({"url": url}, server=type("Nowhere", (), {"url": url})())
    assert words in text
    assert [r.getMessage() for r in caplog.records] == [text]


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    peer: socket.socket = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_refusal_is_kept_when_the_server_hangs_up_before_it_is_read() -> None:
    tries = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(b'INFO {"auth_required": true, "max_payload": 1048576}\r\n')
        await reader.readuntil(b"PING\r\n")
        if tries % 2:
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await writer.drain()
            writer.close()
        else:
            reset_on_close(writer)
            writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = JetStreamSettings(f"nats://127.0.0.1:{port}", "APP", 10, 1000)
        connection = Connection(settings, Counter())
        met: list[str] = []
        connecting = asyncio.create_task(
            connection.connect(lambda error: met.append(problem_of(error, settings).text))
        )
        await until(lambda: tries >= 5)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await connection.close()
    assert len(met) >= 4
    assert all("refuses user and password" in text for text in met), met


@pytest.fixture
async def make_server(tmp_path: Path) -> AsyncIterator[MakeServer]:
    servers = []

    async def make(more: str, jetstream: bool = True) -> NatsServer:
        servers.append(NatsServer(tmp_path / "nats", more=more, jetstream=jetstream))
        await servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        await server.stop()


async def test_a_wrong_password_is_reported_and_an_encoded_one_works(
    make_server: MakeServer, everyone: Everyone
) -> None:
    server = await make_server('authorization { user: me, password: "p@ss/w" }')
    away = f"127.0.0.1:{server.port}"
    text = await connecting({"url": f"nats://me:wrong@{away}"}, server)
    assert "refuses user and password" in text
    assert "wrong" not in text
    world = World(server)
    pod, _ = await world.pod(url=f"nats://me:p%40ss%2Fw@{away}")
    await pod.append(everyone("in"))
    await world.stop()


async def test_a_certificate_that_is_not_trusted_is_reported(
    make_server: MakeServer, tmp_path: Path
) -> None:
    Authority("nobody's").write(tmp_path)
    files = f'cert_file: "{tmp_path}/tls.crt", key_file: "{tmp_path}/tls.key"'
    server = await make_server(f"tls {{ {files} }}")
    text = await connecting({"url": f"tls://localhost:{server.port}"}, server)
    assert "has a certificate that is not trusted" in text


async def test_a_server_without_jetstream_is_reported(make_server: MakeServer) -> None:
    server = await make_server("", jetstream=False)
    assert "without JetStream: start it with JetStream" in await connecting({}, server)


async def test_missing_rights_are_reported_with_those_that_are_needed(
    make_server: MakeServer, everyone: Everyone
) -> None:
    server = await make_server(
        'authorization { users: [{user: me, password: p, permissions: {publish: {deny: "$JS.>"}}}]}'
    )
    url = f"nats://me:p@127.0.0.1:{server.port}"
    text = await connecting({"url": url}, server)
    assert "does not give this user the rights" in text
    assert "tidegate.APP" in text


async def test_a_right_to_read_alone_is_reported_at_publish(
    make_server: MakeServer, everyone: Everyone
) -> None:
    server = await make_server(
        "authorization { users: [{user: me, password: p, "
        'permissions: {publish: {deny: "tidegate.>"}}}]}'
    )
    world = World(server)
    url = f"nats://me:p@127.0.0.1:{server.port}"
    pod, _ = await world.pod(url=url, append_timeout_s=1.0, attempt_timeout_s=0.3)
    assert "ermissions" in await refused(pod, everyone("x"))
    assert "does not give this user the rights" in problem_text(pod)
    await world.stop()


async def test_a_stream_with_other_subjects_is_not_used(
    nats_world: World, broker: JetStreamContext
) -> None:
    await broker.add_stream(name="APP", subjects=["orders.>"])
    text = await connecting({}, nats_world.server)
    assert "orders.>" in text
    assert "set tidegate.dev/backplane-stream to another name" in text


async def test_a_problem_that_lasts_is_logged_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tidegate_sidecar.backplane.jetstream.problems import REPEAT_S, Troubles
    from tidegate_sidecar.backplane.port import Problem

    caplog.set_level(logging.WARNING, "tidegate.backplane")
    now = 0.0
    troubles = Troubles(lambda: now)
    for at in (0.0, 1.0, REPEAT_S - 1, REPEAT_S, REPEAT_S + 1):
        now = at
        troubles.met(Problem("backplane", "away"))
    assert [r.getMessage() for r in caplog.records] == ["away", "away"]
