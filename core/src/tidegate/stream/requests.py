"""What a client asks for: the stream request, read from path, query and headers.

Two routes: ``/sse/subscribe/{client_id}?topic=…`` is a client's own channel plus topics,
``/events?topic=a&topic=b`` has no client. Unknown query keys are ignored (cache busters).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from tidegate.contract.errors import CallerError
from tidegate.contract.names import (
    PATH_EVENTS,
    PATH_SUBSCRIBE,
    QUERY_HANDOVER,
    QUERY_LAST_EVENT_ID,
    QUERY_TOPIC,
    is_client_id,
    is_topic,
)

_SUBSCRIBE = PATH_SUBSCRIBE.partition("{")[0].encode()
_EVENTS = PATH_EVENTS.encode()
_MAX_FIELDS = 1024


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A request's head, as far as it matters here.

    `path` and `query` are raw (percent-encoded), header values as received. `header_bytes` is the
    size of request line and headers. The flags after it can only be set where a connection might
    be taken over; each of them forbids that.
    """

    method: str
    http_version: str
    path: bytes
    query: bytes
    last_event_id: bytes = b""
    header_bytes: int = 0
    has_body: bool = False
    upgrades: bool = False
    expects: bool = False
    pipelined: bool = False
    response_unfinished: bool = False
    write_buffer_used: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a valid request asks for; `topics` are sorted, each once."""

    client: str | None
    topics: tuple[str, ...]
    handover: bool
    last_event_id: str | None


def is_stream_path(path: bytes) -> bool:
    """Whether the raw `path` belongs to one of the two stream routes."""
    return path == _EVENTS or path.startswith(_SUBSCRIBE)


def read_request(request: StreamRequest, max_topics: int) -> Wanted:
    """Read a request on a stream route; raises `CallerError` that names the field."""
    client = None if request.path == _EVENTS else _client(request.path[len(_SUBSCRIBE) :])
    last_event_id = request.last_event_id.decode("utf-8", "replace")
    if not request.query:
        return Wanted(client, (), False, last_event_id or None)
    fields = _query(request.query)
    topics = {value for key, value in fields if key == QUERY_TOPIC}
    if not all(map(is_topic, topics)):
        detail = "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ - /"
        raise CallerError("bad_topic", detail, QUERY_TOPIC)
    if len(topics) > max_topics:
        detail = f"at most {max_topics} topics, has {len(topics)}"
        raise CallerError("too_many_topics", detail, QUERY_TOPIC)
    of_query = next((value for key, value in fields if key == QUERY_LAST_EVENT_ID), "")
    return Wanted(
        client=client,
        topics=tuple(sorted(topics)),
        handover=(QUERY_HANDOVER, "1") in fields,
        last_event_id=last_event_id or of_query or None,
    )


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
