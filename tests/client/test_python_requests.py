"""What the Python client asks for: which Last-Event-ID it sends, and where redirects lead it."""

import pytest
from client.scripted_server import ended, event, refused, scripted, stream
from kit.waiting import until

from tidegate_client import Settings, SseClient

FAST = Settings(initial_delay_ms=10)
FEW = Settings(initial_delay_ms=10, max_attempts=2)
HEADER = b"last-event-id"


async def test_follows_a_redirect_and_resumes_there() -> None:
    answers = (refused(307, "Location: /moved"), stream(event("e-1")))
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=FAST, last_event_id="e-0") as client,
    ):
        assert (await anext(client)).id == "e-1"
    assert [request.line for request in server.requests] == [
        b"GET /events HTTP/1.1",
        b"GET /moved HTTP/1.1",
    ]
    assert server.requests[1].headers[HEADER] == b"e-0"


async def test_without_an_id_no_header_is_sent() -> None:
    async with scripted(stream(event("e-1"))) as server, SseClient(server.url) as client:
        assert (await anext(client)).id == "e-1"
    assert HEADER not in server.requests[0].headers


async def test_an_emptied_id_drops_the_header() -> None:
    answers = (ended(event("e-1")), ended("id\n\n"), stream())
    async with scripted(*answers) as server, SseClient(server.url, settings=FAST) as client:
        await until(lambda: len(server.requests) == 3)
        assert client.last_event_id == ""
    assert server.requests[1].headers[HEADER] == b"e-1"
    assert HEADER not in server.requests[2].headers


@pytest.mark.parametrize(
    ("event_id", "sent"),
    [
        (" e-1", b"e-1"),
        ("e-1\t ", b"e-1"),
        ("e\t 1", b"e\t 1"),
        ("e\x011", None),
        (" \t", None),
        ("e\v1", None),
        ("e-1\f", None),
    ],
)
async def test_an_id_is_sent_as_a_header_can_carry_it_or_not_at_all(
    event_id: str, sent: bytes | None
) -> None:
    # One space belongs to the field's colon, whatever the id begins with.
    answers = (ended(f"id: {event_id}\ndata: x\n\n"), stream(event("e-2")))
    async with scripted(*answers) as server, SseClient(server.url, settings=FEW) as client:
        assert [(await anext(client)).id for _ in range(2)] == [event_id, "e-2"]
    assert server.requests[1].headers.get(HEADER) == sent


async def test_an_id_given_that_would_break_the_request_is_not_sent() -> None:
    bad = "e\r\nX-Evil: 1"
    async with (
        scripted(stream(event("e-1"))) as server,
        SseClient(server.url, settings=FEW, last_event_id=bad) as client,
    ):
        assert (await anext(client)).id == "e-1"
    assert HEADER not in server.requests[0].headers
    assert b"x-evil" not in server.requests[0].headers
