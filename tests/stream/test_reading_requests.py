"""Queries that are kept are read as if they were not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import CallerError
from tidegate.stream.requests import (
    MAX_QUERIES,
    MAX_QUERY_BYTES_KEPT,
    RequestReader,
    StreamRequest,
    Wanted,
)

SUBSCRIBE = b"/sse/subscribe/"


def ask(query: bytes, client: bytes = b"42", last_event_id: bytes = b"") -> StreamRequest:
    return StreamRequest("GET", "1.1", SUBSCRIBE + client, query, last_event_id)


def outcome(reader: RequestReader, request: StreamRequest) -> Wanted | tuple[str, str | None]:
    try:
        return reader.read(request)
    except CallerError as error:
        return error.code, error.field


def read(target: str) -> Wanted:
    path, _, query = target.encode().partition(b"?")
    return RequestReader(max_topics=2).read(StreamRequest("GET", "1.1", path, query))


QUERIES = st.lists(
    st.sampled_from(
        [b"topic=a", b"topic=b%2Fc", b"topic=", b"handover=1", b"handover=0", b"last_event_id=e-3",
         b"last_event_id=", b"stream=s", b"stream=t", b"stream=%20", b"_=1", b"+", b""]
    ),
    max_size=6,
).map(b"&".join)  # fmt: skip


@given(st.lists(st.tuples(QUERIES, st.sampled_from([b"1", b"2", b"%20"])), max_size=8))
def test_what_was_read_before_changes_nothing(asked: list[tuple[bytes, bytes]]) -> None:
    reader = RequestReader(max_topics=2)
    for query, client in [*asked, *asked]:
        request = ask(query, client)
        assert outcome(reader, request) == outcome(RequestReader(max_topics=2), request)


def test_the_header_goes_before_a_kept_query() -> None:
    reader = RequestReader(max_topics=2)
    assert reader.read(ask(b"last_event_id=e-1")).last_event_id == "e-1"
    assert reader.read(ask(b"last_event_id=e-1", last_event_id=b"e-2")).last_event_id == "e-2"
    assert reader.read(ask(b"last_event_id=e-1")).last_event_id == "e-1"


def test_few_and_short_queries_are_kept() -> None:
    reader = RequestReader(max_topics=2)
    for number in range(MAX_QUERIES * 3):
        reader.read(ask(b"_=%d" % number))
        assert len(reader._queries) <= MAX_QUERIES
    before = len(reader._queries)
    reader.read(ask(b"_=" + b"x" * MAX_QUERY_BYTES_KEPT))
    with pytest.raises(CallerError):
        reader.read(ask(b"topic="))
    assert len(reader._queries) == before


@pytest.mark.parametrize("key", ["last_event_id", "lastEventId", "Last-Event-ID"])
def test_a_cursor_in_the_query_goes_by_several_names(key: str) -> None:
    assert read(f"/events?topic=a&{key}=e-5").last_event_id == "e-5"


@pytest.mark.parametrize("key", ["topic[]", "topic%5B%5D", "topics", "topics[]"])
def test_a_misspelt_topic_is_refused_with_the_right_key(key: str) -> None:
    with pytest.raises(CallerError, match=r"\?topic=a&topic=b") as caught:
        read(f"/events?{key}=a")
    assert caught.value.field == key.replace("%5B%5D", "[]")


def test_other_unknown_keys_are_cache_busters() -> None:
    assert read("/events?topic=a&_=1&t=2").topics == ("a",)


@pytest.mark.parametrize("client", [".", "..", "%2e", "%2E%2e"])
def test_a_step_in_a_path_is_no_client(client: str) -> None:
    with pytest.raises(CallerError) as caught:
        read(f"/sse/subscribe/{client}")
    assert caught.value.code == "bad_client"
    assert read("/sse/subscribe/...").client == "..."
