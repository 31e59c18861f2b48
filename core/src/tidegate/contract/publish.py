"""The publish document: an event and its audience.

Reading it is where an application's mistakes are caught: each comes back as a `CallerError` that
names the field, before anything is appended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.contract.errors import CallerError
from tidegate.contract.names import MAX_NAME_LENGTH, is_client_id, is_topic
from tidegate.contract.stream_events import RESERVED, RESERVED_PREFIX, is_reserved

_BREAKS_A_LINE = re.compile("[\r\n\0]")
MAX_KEY_LENGTH = 256

MAX_TOPICS_PER_EVENT = 1000
"""An event keeps a place in every pod's index for each of its topics. For a larger audience there
is a topic of its own, or ``"all"``."""

MAX_ADDRESS_BYTES = MAX_TOPICS_PER_EVENT * (MAX_NAME_LENGTH + len('"", ')) + 4096
"""What a publish document may have beside `data`: the longest `to`, `event` and `key`."""

IDEMPOTENCY_WINDOW_S = 120.0


@dataclass(frozen=True, slots=True)
class To:
    """An audience: one client, some topics, or all streams. Exactly one of the three is set."""

    client: str | None = None
    topics: tuple[str, ...] = ()
    everyone: bool = False

    def to_json(self) -> str | dict[str, Any]:
        """As it stands in the publish document."""
        if self.everyone:
            return "all"
        return {"client": self.client} if self.client is not None else {"topics": [*self.topics]}

    @classmethod
    def from_json(cls, value: object) -> To:
        """Read ``"all"``, ``{"client": id}`` or ``{"topics": [..]}``; raises `CallerError`."""
        if value == "all":
            return cls(everyone=True)
        if not isinstance(value, Mapping) or set(value) not in ({"client"}, {"topics"}):
            raise CallerError("bad_to", 'must be "all", {"client": id} or {"topics": [..]}', "to")
        if "client" in value:
            client = value["client"]
            if not isinstance(client, str) or not is_client_id(client):
                raise CallerError(
                    "bad_client", "must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ -", "to.client"
                )
            return cls(client=client)
        topics = value["topics"]
        if not isinstance(topics, list) or not topics:
            raise CallerError("bad_topics", "must be a list of at least one topic", "to.topics")
        if not all(isinstance(t, str) and is_topic(t) for t in topics):
            raise CallerError(
                "bad_topic", "each must be 1 to 128 of 0-9 A-Z a-z . _ : @ ~ - /", "to.topics"
            )
        return cls(topics=tuple(dict.fromkeys(topics)))


@dataclass(frozen=True, slots=True)
class Publish:
    """One event on its way in. `key` makes a repeated publish the same event for 2 minutes."""

    to: To
    data: str
    event: str | None = None
    key: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As an application posts it."""
        document: dict[str, Any] = {"to": self.to.to_json(), "data": self.data}
        if self.event is not None:
            document["event"] = self.event
        if self.key is not None:
            document["key"] = self.key
        return document

    @classmethod
    def from_bytes(cls, body: bytes, max_event_bytes: int) -> Publish:
        """Read one publish document; raises `CallerError` that names the field.

        Bounds: `max_event_bytes` of data, `MAX_TOPICS_PER_EVENT` topics.

        `data` may be any JSON value: a string is sent as it is, anything else as compact JSON.
        """
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise CallerError("bad_json", f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise CallerError("bad_json", "must be a JSON object")
        unknown = sorted(set(value) - {"to", "data", "event", "key"})
        if unknown:
            raise CallerError("unknown_field", "the fields are to, event, data, key", unknown[0])
        for required in ("to", "data"):
            if required not in value:
                raise CallerError("missing_field", "is required", required)
        data = _data_text(value["data"])
        if _utf8_length(data) > max_event_bytes:
            detail = f"at most {max_event_bytes} bytes, has {_utf8_length(data)}"
            raise CallerError("event_too_large", detail, "data", status=413)
        event = _one_line(value, "event", MAX_KEY_LENGTH)
        if event is not None and is_reserved(event):
            names = ", ".join(sorted(RESERVED))
            detail = f"is the server's own: {names}, and all that begin with {RESERVED_PREFIX}"
            raise CallerError("reserved_event", detail, "event")
        key = _one_line(value, "key", MAX_KEY_LENGTH)
        to = To.from_json(value["to"])
        if len(to.topics) > MAX_TOPICS_PER_EVENT:
            detail = f"at most {MAX_TOPICS_PER_EVENT} topics, has {len(to.topics)}"
            raise CallerError("too_many_topics", detail, "to.topics")
        return cls(to, data, event, key)


def _data_text(data: object) -> str:
    if isinstance(data, str):
        return data
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        # Python reads NaN, Infinity and 1e999; written again they would break every JSON.parse.
        raise CallerError("bad_json", f"cannot be sent as JSON: {error}", "data") from None


def _utf8_length(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise CallerError("bad_text", "holds half a surrogate pair", "data") from None


def _one_line(value: Mapping[str, object], name: str, max_length: int) -> str | None:
    text = value.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not text or len(text) > max_length:
        raise CallerError(f"bad_{name}", f"must be a string of 1 to {max_length}", name)
    if _BREAKS_A_LINE.search(text):
        raise CallerError(f"bad_{name}", "must not contain CR, LF or NUL", name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CallerError(f"bad_{name}", "holds half a surrogate pair", name) from None
    return text
