"""What must not be taken over goes the ordinary way, and what was taken over stays safe."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import Bench, FakeSocketTransport, serving
from kit.waiting import until
from uvicorn import Config
from uvicorn.server import ServerState

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate_sidecar.engine.http_protocol import HttpProtocol

Run = Callable[[Any], None]

GET = b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        b"GET /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n" + GET,
    ],
    ids=["expect", "body", "chunked body", "leading blank lines"],
)
def test_what_is_unsafe_streams_the_ordinary_way(run: Run, request_bytes: bytes) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await (await served.send(request_bytes)).connected()
            assert served.engine.counters["deferred"] == 1
            served.publish("x")
            await until(lambda: client.data == ["x"])

    run(main())


async def beside(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


BESIDE = b"GET /beside HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "ordinary"),
    [
        (GET, False),
        (GET.replace(b"Host", b"Content-Length: 0\r\nHost"), False),
        (GET[:-2] + b"Last-Event-ID: e-0\r\n\r\n", False),
        (GET.replace(b"/events", b"/events?topic="), False),
        (GET + GET, True),
        (GET.replace(b"1.1", b"1.0"), True),
        (GET.replace(b"Host: x", b"Host x"), True),
        (OTHER, True),
    ],
    ids=["stream", "no body", "resumes", "refused", "pipelined", "1.0", "broken", "no stream"],
)
def test_only_what_is_no_plain_stream_request_reaches_the_web_server(
    run: Run, request_bytes: bytes, ordinary: bool
) -> None:
    async def main() -> None:
        engine = Bench().engine
        config = Config(engine.asgi_app, lifespan="off", log_config=None)
        protocol = engine.protocol_class()(config, ServerState(), {})
        transport = FakeSocketTransport()
        protocol.connection_made(transport)
        protocol.data_received(request_bytes)
        await until(lambda: transport.written)
        seen = [isinstance(protocol, HttpProtocol) for protocol in transport.protocols]
        assert any(seen) == ordinary

    run(main())


def test_a_new_connection_without_a_request_is_closed_when_the_server_stops(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.send(b"")
            await until(lambda: served.connections)
            for connection in [*served.connections]:
                connection.shutdown()
            await until(lambda: client.ended)

    run(main())


def test_behind_an_ordinary_answer_on_a_kept_connection(run: Run) -> None:
    async def main() -> None:
        async with serving(beside=beside) as served:
            client = await served.send(BESIDE)
            await until(lambda: client.raw.endswith(b"ok"))
            client.raw = b""
            client.writer.write(GET)
            await client.connected()
            assert served.engine.counters["deferred"] == 0
            assert "transfer-encoding: chunked" in client.head

    run(main())


def test_a_head_whose_start_came_behind_another_request(run: Run) -> None:
    """The last line of the second head is split so that the third one seems to end it."""

    async def main() -> None:
        async with serving(beside=beside) as served:
            client = await served.send(BESIDE + GET[:-2])
            await until(lambda: client.raw.endswith(b"ok"))
            client.raw = b""
            client.writer.write(GET[-2:] + GET)
            await client.connected()
            assert served.engine.counters["deferred"] >= 1
            assert served.engine.open_count == 1

    run(main())


def test_behind_an_answer_that_is_not_finished(run: Run) -> None:
    async def main() -> None:
        waiting = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await waiting.wait()
            await beside(scope, receive, send)

        async with serving(beside=slow) as served:
            client = await served.send(BESIDE, GET)
            await until(lambda: served.engine.counters["deferred"] == 1)
            assert served.engine.open_count == 0
            waiting.set()
            await until(lambda: b"ok" in client.raw)
            client.raw = client.raw.partition(b"ok")[2]
            await client.connected()

    run(main())


def test_a_pipelined_request_is_answered_in_turn(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await (await served.send(GET + GET)).connected()
            assert served.engine.counters["deferred"] >= 1
            assert served.engine.open_count == 1
            served.publish("x")
            await until(lambda: client.data == ["x"])

    run(main())


@pytest.mark.parametrize("body", [b"0\r\nX-1: ", b"1;x="], ids=["trailer", "chunk extension"])
def test_a_trailer_or_chunk_head_without_end_closes_the_connection(run: Run, body: bytes) -> None:
    async def main() -> None:
        async with serving() as served:
            chunked = b"GET /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            client = await served.send(chunked + body)
            client.writer.write(b"y" * 2**20)
            await until(lambda: client.ended)

    run(main())


@pytest.mark.parametrize("at", range(1, len(GET), 5))
def test_a_head_in_two_packets_is_taken_over(run: Run, at: int) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await (await served.send(GET[:at], GET[at:])).connected()
            assert served.engine.counters["deferred"] == 0
            assert client.status == 200

    run(main())


def test_bytes_after_the_takeover_end_the_stream(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            stays = await served.stream("/events")
            speaks = await served.stream("/events")
            speaks.writer.write(OTHER)
            await until(lambda: speaks.ended)
            assert speaks.ended_cleanly
            assert served.engine.ended_total == {"client": 1}
            served.publish("x")
            await until(lambda: stays.data == ["x"])

    run(main())


def test_a_client_that_half_closes_has_left(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.stream("/events")
            client.writer.write_eof()
            await until(lambda: client.ended)
            await until(lambda: served.engine.open_count == 0)

    run(main())


def test_a_head_without_an_end_is_refused_at_the_limit(run: Run) -> None:
    async def main() -> None:
        async with serving(limits=Limits(max_header_bytes=1000)) as served:
            client = await served.send(b"GET /other HTTP/1.1\r\n", b"X: " + b"y" * 2000)
            await until(lambda: client.ended)
            assert client.status == 431
            assert json.loads(client.body)["error"] == "headers_too_large"
            assert served.engine.refused_total == {"headers_too_large": 1}

    run(main())


@pytest.mark.parametrize("path", [b"/events", b"/other"])
@pytest.mark.parametrize("parts", [1, 2], ids=["at once", "in pieces"])
def test_more_headers_than_a_request_has_are_refused(run: Run, path: bytes, parts: int) -> None:
    async def main() -> None:
        async with serving() as served:
            limit = served.engine.port.limits.headers
            head = [b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n", b"a:b\r\n" * limit + b"\r\n"]
            client = await served.send(*(head if parts == 2 else [b"".join(head)]))
            await until(lambda: client.ended)
            assert client.status == 431
            assert json.loads(client.body)["error"] == "too_many_headers"
            assert served.engine.port.refused == {"many_headers": 1}
            assert served.engine.port.count == 0

    run(main())


def test_a_connection_that_has_become_a_stream_leaves_the_ports_bounds(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            waiting = await served.send(b"")
            await until(lambda: served.engine.port.count == 1)
            stream = await served.stream("/events")
            assert served.engine.port.count == 1
            await stream.close()
            await waiting.close()
            await until(lambda: served.engine.port.count == 0)

    run(main())


def test_a_body_that_drips_is_ended_on_the_public_port_too(run: Run) -> None:
    async def main() -> None:
        settings = StreamSettings(header_timeout_s=0.3)
        async with serving(settings, beside=beside) as served:
            head = b"POST /beside HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
            client = await served.send(head)

            def dripped_until_ended() -> bool:
                client.writer.write(b"x")
                return client.ended

            await until(dripped_until_ended, every_s=0.05)
            assert served.engine.port.refused == {"slow_body": 1}

    run(main())


@pytest.mark.parametrize("sent", [b"", GET[:20]], ids=["nothing", "half a head"])
def test_a_slow_handshake_is_closed(run: Run, sent: bytes) -> None:
    async def main() -> None:
        async with serving(StreamSettings(header_timeout_s=0.2)) as served:
            stream = await served.stream("/events")
            client = await served.send(sent)
            await until(lambda: client.ended)
            assert served.engine.port.refused == {"slow_head": 1}
            served.publish("x")
            await until(lambda: stream.data == ["x"])

    run(main())


@pytest.mark.parametrize("sent", [b"\r\n", GET[:20]], ids=["blank line", "half a head"])
def test_a_slow_handshake_on_a_kept_connection_is_closed(run: Run, sent: bytes) -> None:
    async def main() -> None:
        settings = StreamSettings(header_timeout_s=0.2)
        async with serving(settings, beside=beside) as served:
            client = await served.send(BESIDE)
            await until(lambda: client.raw.endswith(b"ok"))
            # Without a byte it is uvicorn's keep-alive that limits it.
            assert not served.engine.port.heads.due
            client.writer.write(sent)
            await until(lambda: client.ended)
            assert served.engine.port.refused == {"slow_head": 1}

    run(main())


def test_a_blank_line_before_a_request_on_a_kept_connection_does_no_harm(run: Run) -> None:
    async def main() -> None:
        async with serving(beside=beside) as served:
            client = await served.send(BESIDE)
            await until(lambda: client.raw.endswith(b"ok"))
            client.raw = b""
            client.writer.write(b"\r\n")
            await until(lambda: served.engine.port.heads.due)
            client.writer.write(GET)
            await client.connected()
            assert not served.engine.port.heads.due
            served.publish("x")
            await until(lambda: client.data == ["x"])

    run(main())


def test_an_http_1_0_request_that_cannot_be_taken_over_is_refused(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.send(b"GET /events HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
            await until(lambda: client.ended)
            assert client.status == 400

    run(main())


def test_garbage_is_a_400_and_no_harm(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20)
            await until(lambda: client.ended)
            assert client.status == 400
            assert served.engine.open_count == 0

    run(main())


def test_a_closing_pod_closes_after_every_answer(run: Run) -> None:
    async def main() -> None:
        async with serving(beside=beside) as served:
            served.engine.gate.closing = True
            client = await served.send(BESIDE)
            await until(lambda: client.ended)
            assert client.status == 200
            assert "connection: close" in client.head

    run(main())


def test_many_at_once_all_get_in(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            clients = await asyncio.gather(*(served.stream("/events") for _ in range(200)))
            served.publish("x")
            await until(lambda: all(client.data == ["x"] for client in clients))
            assert served.engine.counters["deferred"] == 0

    run(main())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_whole_url_as_target_is_the_same_request(run: Run, version: str) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.get("http://pod.example:80/events?topic=a", version=version)
            await client.connected()
            assert ("transfer-encoding: chunked" in client.head) == (version == "1.1")
            served.publish("x", To(topics=("a",)))
            await until(lambda: client.data == ["x"])
            assert served.engine.counters["deferred"] == 0

    run(main())


def test_blanks_around_a_cursor_are_no_part_of_it(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            served.publish("1")
            served.publish("2")
            client = await served.stream("/events", headers="Last-Event-ID: \t e-1 \t \r\n")
            await until(lambda: client.data == ["2"])

    run(main())
