"""Acknowledgements: a client confirms the events up to an id, and may resume there later.

A client gives its stream a name of its own (``?stream=NAME``) and posts ids to
``/sse/subscribe/{client_id}/ack?stream=NAME``. The last one is kept per client and name; a stream
of that name that comes without a cursor goes on from it, on any pod.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from tidegate.contract.errors import CallerError

MAX_ACKNOWLEDGE_BYTES = 1024
"""The body of an acknowledgement: one short id, and room for what a later version adds."""

ACKNOWLEDGE_EVERY_S = 1.0
"""A pod writes one position at most this often; what comes in between waits for the next write."""

MAX_HELD_PER_STREAM = 8
"""Acknowledgements of one stream that may wait for that write at a time; the next gets 429."""

MAX_ID_LENGTH = 256
"""An id of ours is an epoch and a number; this leaves room for a longer form."""

MAX_NAMES_PER_CLIENT = 64
"""Positions kept for one client id: names without end must not push out those of other clients."""

NAMES_LEFT = 32
"""When a client has one more, only so many of its own are left, those that moved last."""

_FIELD_ID = "id"


class StreamKey(NamedTuple):
    """The key of a kept position: a client's stream, by the name that the client chose."""

    client: str
    stream: str


def acknowledgement_json(event_id: str) -> str:
    """The body a client posts."""
    return json.dumps({_FIELD_ID: event_id}, separators=(",", ":"))


def read_acknowledgement(body: bytes) -> str:
    """Read the id that is acknowledged; raises `CallerError` that names the field."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CallerError("bad_json", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CallerError("bad_json", "must be a JSON object")
    unknown = sorted(set(value) - {_FIELD_ID})
    if unknown:
        raise CallerError("unknown_field", f"the only field is {_FIELD_ID}", unknown[0])
    if _FIELD_ID not in value:
        raise CallerError("missing_field", "is required", _FIELD_ID)
    event_id = value[_FIELD_ID]
    if not isinstance(event_id, str) or not 0 < len(event_id) <= MAX_ID_LENGTH:
        raise CallerError("bad_id", "must be the id of an event of this stream", _FIELD_ID)
    return event_id
