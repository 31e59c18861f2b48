"""A proxy reports its endless streams to the operator and obeys its orders, as a sidecar does."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from kit.waiting import until
from proxy.behind import EVENTS, STREAM, Peer, chunk, get, serving, unchunk
from proxy.test_real_applications import ProxyProcess

from tidegate.contract.report import Answer, Plan


async def application(peer: Peer) -> None:
    head = await peer.take(b"\r\n\r\n")
    if head.startswith(b"GET /events"):
        await peer.send(STREAM, chunk(b"data: a\n\n"))
        await peer.until_end()
    else:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Operator:
    """Answers each report with `answer`; keeps the reports."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.answer = Answer(seq=1, admitted=False, report_every_s=0.05)

    async def handle(self, peer: Peer) -> None:
        while True:
            try:
                head = await peer.take(b"\r\n\r\n")
            except AssertionError:
                return  # it has closed the connection
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
            self.reports.append(json.loads(await peer.exactly(length)))
            await asyncio.sleep(0.05)
            body = json.dumps(self.answer.to_json()).encode()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)


async def test_streams_are_reported_and_let_go_by_order() -> None:
    operator = Operator()
    async with serving(application) as upstream, serving(operator.handle) as port:
        url = f"http://127.0.0.1:{port}"
        async with ProxyProcess(upstream, TIDEGATE_OPERATOR_URL=url) as proxy:
            public = proxy.listening["public"]
            peers = [Peer(*await asyncio.open_connection("127.0.0.1", public)) for _ in range(4)]
            *streams, ordinary = peers
            for stream in streams:
                await stream.send(EVENTS)
                await stream.until(b"data: a\n\n")
            await until(lambda: operator.reports and operator.reports[-1]["streams"] == 3)
            await proxy.until_status(lambda status: not status["admitted"])
            await ordinary.send(get("/"))
            assert b"\r\nConnection: close\r\n" in await ordinary.until_end()
            plan = Plan(kind="shed", rate_per_s=50, count=2, retry_ms=321, valid_for_s=60)
            operator.answer = Answer(seq=2, admitted=False, plan=plan, report_every_s=0.05)
            await until(lambda: operator.reports[-1]["streams"] == 1)
            for stream in streams[:2]:  # the oldest go first
                payload = unchunk(await stream.until_end())
                assert b"retry: 321\nevent: shutdown\n" in payload
                assert b'"reason":"shed"' in payload
            last = operator.reports[-1]
            assert (last["arrived_total"], last["ended_total"], last["state"]) == (3, 2, "ready")
            for peer in peers:
                await peer.close()
