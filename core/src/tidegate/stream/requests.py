"""What a client asks for: the stream request, read from path, query and headers.

Two routes: ``/sse/subscribe/{client_id}?topic=…`` is a client's own channel plus topics,
``/events?topic=a&topic=b`` has no client. Unknown query keys are ignored (cache busters), but for
misspelt topics. With
``?stream=NAME`` a client names its stream, to acknowledge events of it (`contract.acknowledge`).

Objects that are made for every new stream are named tuples, here and in `door`: a frozen
dataclass takes twice as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from tidegate.auth.credentials import QUERY_TOKEN, RawHeaders
from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import CallerError
from tidegate.contract.names import (
    PATH_ACKNOWLEDGE,
    PATH_EVENTS,
    PATH_SUBSCRIBE,
    QUERY_HANDOVER,
    QUERY_LAST_EVENT_ID,
    QUERY_LAST_EVENT_ID_ALIASES,
    QUERY_STREAM,
    QUERY_TOPIC,
    is_client_id,
    is_stream_name,
    is_topic,
)

_SUBSCRIBE = PATH_SUBSCRIBE.partition("{")[0].encode()
_ACKNOWLEDGE = PATH_ACKNOWLEDGE.rpartition("}")[2].encode()
_EVENTS = PATH_EVENTS.encode()
_QUERY_TOKEN = QUERY_TOKEN.encode()
_MAX_FIELDS = 1024
_LAST_EVENT_ID = (QUERY_LAST_EVENT_ID, *QUERY_LAST_EVENT_ID_ALIASES)
_NOT_TOPIC = frozenset({f"{QUERY_TOPIC}[]", f"{QUERY_TOPIC}s", f"{QUERY_TOPIC}s[]"})
"""How frameworks write lists. Ignored as other unknown keys are, they would be a stream that never
gets an event."""

MAX_QUERIES = 1024
"""How many queries a reader keeps; then it starts again empty."""

MAX_QUERY_BYTES_KEPT = 256
"""Longer ones are read each time."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was looked up for a stream: the id kept, `None` where there is none.

    `reached` false: the store could not be asked. `newest` is the newest position in the store,
    where it was asked.
    """

    event_id: str | None = None
    reached: bool = True
    newest: int = 0


class StreamRequest(NamedTuple):
    """A request's head, as far as it matters here.

    `path` and `query` are raw (percent-encoded), header values as received. `header_bytes` is the
    size of request line and headers. The flags after it can only be set where a connection might
    be taken over; each of them forbids that. `recalled` is set where the door has asked for it.
    `headers` are all of them, names in lower case; only the guard reads them.
    """

    method: str
    http_version: str
    path: bytes
    query: bytes
    last_event_id: bytes = b""
    header_bytes: int = 0
    has_body: bool = False
    expects: bool = False
    pipelined: bool = False
    response_unfinished: bool = False
    write_buffer_used: bool = False
    recalled: Recalled | None = None
    headers: RawHeaders = ()


class Wanted(NamedTuple):
    """What a valid request asks for; `topics` are sorted, each once. `key` of a named stream."""

    client: str | None
    topics: tuple[str, ...]
    handover: bool
    last_event_id: str | None
    key: StreamKey | None = None


def is_stream_path(path: bytes) -> bool:
    """Whether the raw `path` belongs to one of the two stream routes."""
    if path.startswith(_SUBSCRIBE):
        return not is_acknowledge_path(path)
    return path == _EVENTS


def is_acknowledge_path(path: bytes) -> bool:
    """Whether the raw `path` is where a client acknowledges."""
    least = len(_SUBSCRIBE) + len(_ACKNOWLEDGE)
    return path.startswith(_SUBSCRIBE) and path.endswith(_ACKNOWLEDGE) and len(path) >= least


class _Query(NamedTuple):
    topics: tuple[str, ...] = ()
    handover: bool = False
    last_event_id: str | None = None
    stream: str | None = None


class RequestReader:
    """Reads requests on a stream route.

    Streams share an audience, and those that do mostly send the same query, so what was read from
    a query is kept: up to `MAX_QUERIES` short ones.
    """

    def __init__(self, max_topics: int) -> None:
        self._max_topics = max_topics
        self._queries: dict[bytes, _Query] = {b"": _Query()}

    def read(self, request: StreamRequest) -> Wanted:
        """Read a request; raises `CallerError` that names the field."""
        client = None if request.path == _EVENTS else _client(request.path[len(_SUBSCRIBE) :])
        query = self._queries.get(request.query)
        if query is None:
            query = self._keep(request.query, _read_query(request.query, self._max_topics))
        last_event_id = request.last_event_id.decode("utf-8", "replace") or query.last_event_id
        key = None if query.stream is None else _key(client, query.stream)
        return Wanted(client, query.topics, query.handover, last_event_id, key)

    def _keep(self, raw: bytes, query: _Query) -> _Query:
        # Without authentication nothing has cut a token out, and none must stay in memory.
        if len(raw) <= MAX_QUERY_BYTES_KEPT and _QUERY_TOKEN not in raw:
            if len(self._queries) >= MAX_QUERIES:
                self._queries.clear()
            self._queries[raw] = query
        return query


def _read_query(raw: bytes, max_topics: int) -> _Query:
    fields = _query(raw)
    mistaken = next((key for key, _ in fields if key in _NOT_TOPIC), None)
    if mistaken is not None:
        detail = f"use ?{QUERY_TOPIC}=a&{QUERY_TOPIC}=b, one for each topic"
        raise CallerError("unknown_field", detail, mistaken)
    topics = {value for key, value in fields if key == QUERY_TOPIC}
    if not all(map(is_topic, topics)):
        detail = "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ - /"
        raise CallerError("bad_topic", detail, QUERY_TOPIC)
    if len(topics) > max_topics:
        detail = f"at most {max_topics} topics, has {len(topics)}"
        raise CallerError("too_many_topics", detail, QUERY_TOPIC)
    first = dict(reversed(fields))
    return _Query(
        topics=tuple(sorted(topics)),
        handover=(QUERY_HANDOVER, "1") in fields,
        last_event_id=next(filter(None, map(first.get, _LAST_EVENT_ID)), None),
        stream=first.get(QUERY_STREAM),
    )


def read_acknowledge_target(path: bytes, query: bytes) -> StreamKey:
    """The position that an acknowledgement moves; raises `CallerError` that names the field."""
    client = _client(path[len(_SUBSCRIBE) : -len(_ACKNOWLEDGE)])
    name = next((value for key, value in _query(query) if key == QUERY_STREAM), None)
    if name is None:
        detail = f"is required: the name in the stream's own request, ?{QUERY_STREAM}=NAME"
        raise CallerError("missing_field", detail, QUERY_STREAM)
    return _key(client, name)


def _key(client: str | None, name: str) -> StreamKey:
    if not is_stream_name(name):
        raise CallerError("bad_stream", "must be 1 to 64 of 0-9 A-Z a-z . _ -", QUERY_STREAM)
    if client is None:
        detail = (
            f"only a stream with a client id can be named: use {PATH_SUBSCRIBE}?{QUERY_STREAM}=NAME"
        )
        raise CallerError("no_client", detail, QUERY_STREAM)
    return StreamKey(client, name)


def _client(segment: bytes) -> str:
    client = unquote(segment.decode("latin-1"))
    if not is_client_id(client):
        detail = "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ -"
        raise CallerError("bad_client", detail, "client_id")
    return client


def _query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("latin-1"), True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise CallerError("bad_query", f"at most {_MAX_FIELDS} fields", "query") from None
