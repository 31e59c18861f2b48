from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from engine.enginekit import Bench, FakeTransport
from kit.waiting import until

from tidegate.auth.claims import TokenFacts
from tidegate.auth.guard import Guard
from tidegate.auth.rights import LEEWAY_S, Rights
from tidegate.auth.topics import TopicPatterns
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.drain.decision import Goodbye
from tidegate.stream.decisions import Bounce, Refuse
from tidegate.stream.requests import StreamRequest
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import LAST_CHUNK, unframe
from tidegate_sidecar.engine.expiries import Expiries
from tidegate_sidecar.engine.phase import Phase
from tidegate_sidecar.engine.stream import Stream

START = 1_800_000_000.0


@dataclass
class Wall:
    now: float = START

    def __call__(self) -> float:
        return self.now


class Tokens:
    """A bench whose guard takes any token for one of client 42 that lives `lifetime_s`."""

    def __init__(self, lifetime_s: float = 100.0) -> None:
        self.wall = Wall()
        self.facts = TokenFacts("42", START + lifetime_s, START, None, TopicPatterns(["**"]))
        guard = Guard(AuthSettings(), (), lambda _: self.facts, self.wall)
        limits = Limits(max_streams_per_client=100_000)
        self.bench = Bench(StreamSettings(), limits, guard=guard, wall_clock=self.wall)
        self.engine = self.bench.engine
        self.engine.start()

    def request(self, handover: bool = False, by: str = "header") -> StreamRequest:
        header = (b"cookie", b"__Secure-tidegate=x")
        if by == "header":
            header = (b"authorization", b"Bearer x")
        query = b"handover=1" if handover else b""
        return StreamRequest("GET", "1.1", b"/sse/subscribe/42", query, headers=[header])

    def open(self, handover: bool = False) -> tuple[Stream, FakeTransport]:
        accepted = self.engine.admission.decide(self.request(handover), "takeover")
        transport = FakeTransport()
        stream = self.engine.admission.admit(transport, accepted)  # type: ignore[arg-type]
        self.engine.admission.open_with(stream, accepted, b"")  # type: ignore[arg-type]
        return stream, transport

    async def a_step(self) -> None:
        """Wait until what is due was done: another stream, which is due, has ended."""
        facts = self.facts
        self.facts = replace(facts, expires_at=self.wall.now + 0.001)
        _, transport = self.open()
        self.facts = facts
        await until(lambda: transport.closed)

    @property
    def ended(self) -> int:
        return self.engine.ended_total.get("expired", 0)


def events(transport: FakeTransport) -> list[Event]:
    body = unframe(transport.written.removesuffix(LAST_CHUNK))
    return [item for item in Decoder().feed(body) if isinstance(item, Event)]


def types(transport: FakeTransport) -> list[str]:
    return [event.type for event in events(transport)]


async def test_a_stream_is_warned_and_let_go_before_its_token_expires() -> None:
    tokens = Tokens()
    _, transport = tokens.open()
    tokens.wall.now = START + 79
    await tokens.a_step()
    assert types(transport) == ["connected"]
    tokens.wall.now = START + 85.5
    await until(lambda: "tidegate.token-expiring" in types(transport))
    left_ms = json.loads(events(transport)[-1].data)["expires_in_ms"]
    assert 0 < left_ms <= 15_000
    tokens.wall.now = START + 100
    await until(lambda: transport.closed)
    goodbye = events(transport)[-1]
    assert (goodbye.type, json.loads(goodbye.data)["reason"]) == ("shutdown", "expired")
    assert json.loads(goodbye.data)["reconnect_after_ms"] == 1000
    tokens.engine.stop()


async def test_a_client_that_hands_over_has_until_the_leeway_ends() -> None:
    tokens = Tokens()
    stream, transport = tokens.open(handover=True)
    tokens.wall.now = START + 100
    await until(lambda: types(transport)[-1:] == ["shutdown"])
    assert not transport.closed
    data = json.loads(events(transport)[-1].data)
    assert (data["reason"], data["reconnect_after_ms"], data["deadline_ms"]) == ("expired", 0, 5000)
    tokens.wall.now = START + 100 + LEEWAY_S
    await until(lambda: transport.aborted)
    assert stream.phase is Phase.CLOSING
    tokens.engine.stop()


async def test_a_stream_that_does_not_read_is_cut_after_the_leeway() -> None:
    tokens = Tokens()
    stream, transport = tokens.open()
    transport.buffered = 100
    stream.pause_writing()
    tokens.wall.now = START + 100
    await until(lambda: transport.closed)
    assert not transport.aborted
    tokens.wall.now = START + 100 + LEEWAY_S
    await until(lambda: transport.aborted)
    tokens.engine.stop()


async def test_a_clock_that_jumps_is_obeyed() -> None:
    tokens = Tokens(lifetime_s=86_400)
    _, transport = tokens.open()
    tokens.wall.now = START + 90_000
    await until(lambda: transport.aborted)
    tokens.engine.stop()


async def test_one_that_came_back_with_the_same_token_stays_to_the_end_and_waits_long() -> None:
    tokens = Tokens()
    tokens.wall.now = START + 96
    _, transport = tokens.open()
    tokens.wall.now = START + 99.7
    await tokens.a_step()
    assert types(transport) == ["connected"]
    tokens.wall.now = START + 100
    await until(lambda: transport.closed)
    assert 30_000 <= json.loads(events(transport)[-1].data)["reconnect_after_ms"] <= 60_000
    tokens.engine.stop()


class RecordingCloser:
    """Takes note of when each stream is let go."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.goodbyes: list[float] = []

    def write(self, stream: Stream, data: bytes) -> None:
        pass

    def goodbye(self, stream: Stream, goodbye: Goodbye) -> None:
        self.goodbyes.append(self.wall.now)


async def test_ten_thousand_that_expire_together_end_evenly() -> None:
    tokens = Tokens()
    closer = RecordingCloser(tokens.wall)
    expiries = Expiries(closer, tokens.wall, 1000)  # type: ignore[arg-type]
    count = 10_000
    for _ in range(count):
        stream, _ = tokens.open()
        expiries.watch(stream, Rights(START + 100, 100.0))
    while len(closer.goodbyes) < count:
        tokens.wall.now += 0.05
        expiries.step()
    assert tokens.wall.now <= START + 100.1
    tenths = Counter(int((at - (START + 95)) * 2) for at in closer.goodbyes)
    # Times are rounded down to a quarter of a second: the first tenth gets a little of the second.
    assert all(abs(tenths[tenth] - count / 10) <= count / 100 for tenth in range(1, 9)), tenths
    tokens.engine.stop()


async def test_streams_that_are_gone_are_not_kept() -> None:
    tokens = Tokens()
    for _ in range(3):
        stream, _ = tokens.open()
        stream.connection_lost(None)
    tokens.wall.now = START + 200
    await tokens.a_step()
    assert tokens.ended == 1  # the other one
    tokens.engine.stop()


@pytest.mark.parametrize("late_s", [0.0, 3600.0])
async def test_an_expired_cookie_waits_and_an_expired_header_is_refused(late_s: float) -> None:
    """A page renews its cookie by itself, and a native EventSource dies of a 401."""
    tokens = Tokens()
    tokens.wall.now = START + 100 + late_s
    decide = tokens.engine.admission.decide
    by_cookie = decide(tokens.request(by="cookie"), "takeover")
    assert isinstance(by_cookie, Bounce)
    assert by_cookie.reason == "expired"
    assert b"retry: " in by_cookie.body
    by_header = decide(tokens.request(), "takeover")
    assert isinstance(by_header, Refuse)
    assert (by_header.status, by_header.error.code) == (401, "expired_token")
    tokens.wall.now = START + 100 + 86_400
    assert isinstance(decide(tokens.request(by="cookie"), "takeover"), Refuse)
    tokens.engine.stop()
