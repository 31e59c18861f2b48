"""How an event stands in a shared log: the publish document, without its key, as JSON."""

from __future__ import annotations

import json
from typing import Final

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.contract.publish import Publish, To
from tidegate.stream.log import LogEntry

CANARY: Final = b""
"""The body of an entry that is only there to be seen again."""


NEW_LIFE: Final = b'{"tidegate":"new life"}'
"""The body of an entry that has every reader ask for the log's epoch again."""


def key_reused() -> CallerError:
    """The refusal of a key that names another event (draft-ietf-httpapi-idempotency-key, 422)."""
    detail = "was used for another event within the last two minutes"
    return CallerError("key_reused", detail, "key", status=422)


def to_bytes(publish: Publish) -> bytes:
    """The body of an entry. The key is not part of it: the store deduplicates by its own header."""
    document = publish.to_json()
    document.pop("key", None)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def from_bytes(seq: int, body: bytes) -> LogEntry:
    """Read an entry; raises `DocumentError` for what another program has put into the log."""
    try:
        document = json.loads(body)
        data, event = document["data"], document.get("event")
        to = To.from_json(document["to"])
    except (ValueError, TypeError, KeyError, AttributeError, CallerError) as error:
        raise DocumentError("entry", str(seq), f"not a Tidegate event: {error}") from None
    if not isinstance(data, str) or not (event is None or isinstance(event, str)):
        raise DocumentError("entry", str(seq), "data and event must be strings")
    return LogEntry(seq, to, data, event)
