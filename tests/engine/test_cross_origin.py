"""CORS on both ways in: the same headers on streams, bounces, refusals and preflights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from engine.enginekit import DRAIN, Client, Served, serving
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.waiting import until

from tidegate.contract.stream_events import ShutdownReason
from tidegate.contract.stream_settings import Limits, StreamSettings

Run = Callable[[Any], None]

SHOP, OTHER = "https://shop.example", "https://other.example"
LISTED = StreamSettings(cors_origins=(SHOP,), retry_base_ms=700)
FEW = Limits(max_header_bytes=2000, max_streams_per_client=1)
FROM_SHOP, FROM_OTHER = f"Origin: {SHOP}\r\n", f"Origin: {OTHER}\r\n"
ASKS = "Access-Control-Request-Method: GET\r\n"


def cors_of(client: Client) -> dict[str, str]:
    """The headers that CORS is about; none may come twice."""
    lines = [line.split(": ", 1) for line in client.head.split("\r\n")[1:]]
    about = [(name, value) for name, value in lines if name.startswith(("access-", "vary"))]
    assert len(dict(about)) == len(about)
    return dict(about)


READABLE = {
    "access-control-allow-origin": SHOP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after, www-authenticate",
    "vary": "origin",
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stream_is_readable_for_listed_pages_only(
    run: Run, way: str, version: str, method: str
) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            for headers, expected in (
                (FROM_SHOP, READABLE),
                (FROM_OTHER, {"vary": "origin"}),
                ("", {"vary": "origin"}),
                (FROM_SHOP * 2, {"vary": "origin"}),
            ):
                client = await served.get(
                    "/events", method=method, version=version, headers=headers
                )
                await until(lambda c=client: b"\r\n\r\n" in c.raw)
                assert client.status == 200
                assert cors_of(client) == expected

    run(main())


def test_without_a_list_no_answer_has_a_cors_header(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            stream = await served.stream("/events", headers=FROM_SHOP)
            refused = await served.get("/events?topic=", headers=FROM_SHOP)
            asked = await served.get("/events", method="OPTIONS", headers=FROM_SHOP + ASKS)
            await until(lambda: refused.ended and asked.ended)
            assert [cors_of(client) for client in (stream, refused, asked)] == [{}, {}, {}]
            assert asked.status == 405

    run(main())


def test_head_and_first_bytes_are_one_write(run: Run) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW) as served:
            client = await served.stream("/events", headers=FROM_SHOP)
            assert served.engine.counters["deferred"] == 0
            assert client.raw.startswith(b"HTTP/1.1 200 OK\r\n")
            assert served.engine.counters["bytes"] == len(client.raw)

    run(main())


def test_a_bounce_is_readable(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            served.engine.gate.refusing = "drain"
            client = await served.get("/events", headers=FROM_SHOP)
            await until(lambda: client.ended)
            assert client.of("shutdown")
            assert cors_of(client) == READABLE

    run(main())


@pytest.mark.parametrize(
    ("target", "method", "headers", "status"),
    [
        ("/sse/subscribe/a%20b", "GET", "", 400),
        ("/events?topic=", "GET", "", 400),
        ("/events", "GET", "X: " + "y" * 3000 + "\r\n", 431),
        ("/events", "POST", "Content-Length: 0\r\n", 405),
        ("/sse/subscribe/full", "GET", "", 429),
        ("/nothing", "GET", "", 404),
    ],
    ids=["client", "topic", "headers", "method", "streams", "path"],
)
def test_a_refusal_is_readable(
    run: Run, way: str, target: str, method: str, headers: str, status: int
) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            await served.stream("/sse/subscribe/full")
            bounced = await served.get("/sse/subscribe/full")
            await until(lambda: bounced.ended)  # its stream has been written to, and answers
            client = await served.get(target, method=method, headers=FROM_SHOP + headers)
            await until(lambda: client.ended)
            assert client.status == status
            assert set(json.loads(client.body)) == {"error", "detail", "field"}
            assert cors_of(client) == READABLE

    run(main())


def test_a_head_without_an_end_is_refused_readably(run: Run) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW) as served:
            client = await served.send(
                f"GET /events HTTP/1.1\r\n{FROM_SHOP}".encode(), b"X: " + b"y" * 3000
            )
            await until(lambda: client.ended)
            assert client.status == 431
            assert cors_of(client) == READABLE

    run(main())


def test_no_head_at_all_is_refused_where_origins_matter(run: Run) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW) as served:
            client = await served.send(b"\r\n" * 1500)
            await until(lambda: client.ended)
            assert client.status == 431

    run(main())


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_preflight_of_a_listed_page_is_answered(run: Run, way: str, version: str) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            names = "Access-Control-Request-Headers: last-event-id,x-tenant\r\n"
            headers = FROM_SHOP + ASKS + names
            client = await served.get("/events", method="OPTIONS", version=version, headers=headers)
            await until(lambda: b"\r\n\r\n" in client.raw)
            assert client.status == 204
            assert cors_of(client) == {
                "access-control-allow-origin": SHOP,
                "access-control-allow-credentials": "true",
                "access-control-allow-methods": "get, head, post",
                "access-control-allow-headers": "last-event-id,x-tenant",
                "access-control-max-age": "7200",
                "vary": "origin, access-control-request-method, access-control-request-headers",
            }
            assert served.engine.arrived_total == 0

    run(main())


def test_a_preflight_of_another_page_gets_the_reason_and_is_counted(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            client = await served.get("/events", method="OPTIONS", headers=FROM_OTHER + ASKS)
            await until(lambda: client.ended)
            assert client.status == 403
            assert json.loads(client.body)["error"] == "origin_not_allowed"
            assert cors_of(client) == {"vary": "origin"}
            assert served.engine.refused_total == {"origin_not_allowed": 1}

    run(main())


def test_a_stream_comes_right_behind_its_preflight(run: Run, way: str) -> None:
    """Browsers send both on one connection."""

    async def main() -> None:
        async with serving(LISTED, FEW, way=way) as served:
            client = await served.get("/events", method="OPTIONS", headers=FROM_SHOP + ASKS)
            await until(lambda: client.raw.endswith(b"\r\n\r\n"))
            client.raw = b""
            client.writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\n{FROM_SHOP}\r\n".encode())
            await client.connected()
            assert cors_of(client) == READABLE
            served.publish("x")
            await until(lambda: client.data == ["x"])
            served.engine.let_go(1, DRAIN)
            await until(lambda: client.ended_cleanly)

    run(main())


@dataclass(frozen=True)
class Asked:
    """One request, and the pod's state at that moment."""

    method: str
    target: str
    version: str
    headers: tuple[str, ...]
    refusing: ShutdownReason | None

    @property
    def raw(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/{self.version}", "Host: x", *self.headers]
        return "\r\n".join([*lines, "", ""]).encode()


ORIGINS = st.sampled_from([SHOP, OTHER, "null", "*", "", SHOP.upper(), f"{SHOP}:443"])
HEADERS = st.one_of(
    ORIGINS.map("Origin: {}".format),
    st.sampled_from(["GET", "DELETE", ""]).map("Access-Control-Request-Method: {}".format),
    st.sampled_from(["last-event-id", "a, b", "no list", ""]).map(
        "Access-Control-Request-Headers: {}".format
    ),
    st.sampled_from(["e-1", "e-0", "f-1", "?"]).map("Last-Event-ID: {}".format),
)
ASKED = st.builds(
    Asked,
    method=st.sampled_from(["GET", "GET", "HEAD", "OPTIONS", "DELETE"]),
    target=st.sampled_from(["/events", "/events?topic=", "/sse/subscribe/1", "/sse/subscribe/%20"]),
    version=st.sampled_from(["1.1", "1.0"]),
    headers=st.lists(HEADERS, max_size=4).map(tuple),
    refusing=st.sampled_from([None, "drain"]),
)
POLICIES = st.sampled_from([(), (SHOP,), ("*",), ("*", SHOP)])


TWO_CURSORS = Asked("GET", "/events", "1.1", ("Last-Event-ID: e-1", "Last-Event-ID: e-0"), None)


async def answered(served: Served, asked: Asked) -> tuple[int, list[str], bytes]:
    """Status, the headers that are ours to choose, and the first event or the whole body."""
    served.engine.gate.refusing = asked.refusing
    client = await served.send(asked.raw)
    arrived = served.engine.arrived_total
    await until(lambda: client.ended or _is_whole(client) or client.of("connected"))
    await client.close()
    await until(lambda: served.engine.open_count == 0)
    assert served.engine.arrived_total >= arrived
    framing = ("date:", "server:", "transfer-encoding:", "connection:", "content-length:")
    lines = client.head.split("\r\n")[1:]
    return (
        client.status,
        sorted(line for line in lines if not line.startswith(framing)),
        client.body.partition(b"data:")[0],
    )


def _is_whole(client: Client) -> bool:
    """A kept connection does not end after an answer without a body."""
    return b"\r\n\r\n" in client.raw and client.status == 204


@settings(max_examples=15)
@example(policy=(), requests=[TWO_CURSORS])
@given(policy=POLICIES, requests=st.lists(ASKED, min_size=1, max_size=8))
def test_both_ways_answer_alike(policy: tuple[str, ...], requests: list[Asked]) -> None:
    async def main() -> None:
        chosen = StreamSettings(cors_origins=policy)
        async with serving(chosen) as taken, serving(chosen, way="asgi") as ordinary:
            for asked in requests:
                one, other = await asyncio.gather(answered(taken, asked), answered(ordinary, asked))
                assert one == other

    asyncio.run(asyncio.wait_for(main(), 45.0))
