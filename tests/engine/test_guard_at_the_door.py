"""Where the guard stands: behind what the pod decides by itself, and before anything is kept."""

from __future__ import annotations

from typing import NoReturn

import pytest
from engine.enginekit import Bench

from tidegate.auth.claims import TokenFacts
from tidegate.auth.guard import Guard, NotVerified
from tidegate.auth.topics import TopicPatterns
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.stream_settings import Limits
from tidegate.stream.decisions import Accept, Bounce, Refuse
from tidegate.stream.requests import RequestReader, StreamRequest

BEARER = [(b"authorization", b"Bearer x")]
GET = StreamRequest("GET", "1.1", b"/sse/subscribe/42", b"", headers=BEARER)


def never(_: bytes) -> NoReturn:
    raise AssertionError("this pod does not take streams: nothing is to be verified")


def bench_with(verify: object, limits: Limits = Limits()) -> Bench:
    guard = Guard(AuthSettings(), (), verify, lambda: 0.0)  # type: ignore[arg-type]
    return Bench(limits=limits, guard=guard)


async def test_a_draining_pod_bounces_before_it_verifies() -> None:
    bench = bench_with(never)
    bench.engine.gate.refusing = "drain"
    for headers in (BEARER, []):
        decision = bench.engine.admission.decide(GET._replace(headers=headers), "takeover")
        assert isinstance(decision, Bounce)


async def test_a_full_pod_does_too() -> None:
    bench = bench_with(never, Limits(max_streams=0))
    decision = bench.engine.admission.decide(GET, "takeover")
    assert isinstance(decision, Bounce)
    assert decision.reason == "overloaded"


async def test_a_pod_with_a_queue_verifies_only_whom_it_lets_in() -> None:
    facts = TokenFacts("42", 600.0, None, None, TopicPatterns())
    verified: list[bytes] = []

    def verify(token: bytes) -> TokenFacts:
        verified.append(token)
        return facts

    bench = bench_with(verify, Limits(max_new_streams_per_s=1.0))
    decisions = [bench.engine.admission.decide(GET, "takeover") for _ in range(3)]
    assert [type(decision) for decision in decisions] == [Accept, Bounce, Bounce]
    assert len(verified) == 1


@pytest.mark.parametrize("reason", ["overloaded", "unavailable"])
async def test_where_the_pod_cannot_verify_it_bounces(reason: NotVerified) -> None:
    bench = bench_with(lambda _: reason)
    for method, way in (("GET", "takeover"), ("GET", "asgi"), ("HEAD", "asgi")):
        request = GET._replace(method=method)
        decision = bench.engine.admission.decide(request, way)  # type: ignore[arg-type]
        assert isinstance(decision, Bounce)
        assert decision.reason == reason


async def test_a_stranger_learns_nothing_of_a_clients_streams() -> None:
    """Refused before the limit of streams per client is looked at."""
    bench = bench_with(never, Limits(max_streams_per_client=1))
    decision = bench.engine.admission.decide(GET._replace(headers=[]), "takeover")
    assert isinstance(decision, Refuse)
    assert decision.error.code == "missing_token"


def test_without_authentication_a_token_in_a_query_is_kept_nowhere() -> None:
    reader = RequestReader(8)
    for query in (b"access_token=secret", b"topic=a&access_token=secret"):
        reader.read(StreamRequest("GET", "1.1", b"/events", query))
    assert b"secret" not in repr(vars(reader)).encode()
