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
