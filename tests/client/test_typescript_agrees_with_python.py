"""Both languages speak the same words, hold the same defaults and read any bytes alike."""

import base64
import itertools
import json
import math
import random
import re
from typing import Any

import pytest
from kit.node_tools import PACKAGE, run_node

from tidegate import __version__
from tidegate.contract import names, stream_events
from tidegate.wire.decode import MAX_RETRY_MS, Comment, Decoder, Event
from tidegate_client import Settings

CONTRACT = {
    "CONNECTED": stream_events.CONNECTED,
    "GAP": stream_events.GAP,
    "CURSOR": stream_events.CURSOR,
    "SHUTDOWN": stream_events.SHUTDOWN,
    "RESERVED": sorted(stream_events.RESERVED),
    "RESERVED_PREFIX": stream_events.RESERVED_PREFIX,
    "HEADER_LAST_EVENT_ID": names.HEADER_LAST_EVENT_ID,
    "QUERY_HANDOVER": names.QUERY_HANDOVER,
}
FIELDS = (b"data", b"data", b"id", b"event", b"retry", b"", b"Data", b" data", b"datax")
VALUES = (
    *(b"", b"x", b" x", b"  x", b"\tx", b"1\0", b"12", b"99999999999", b"+5", b"\xd9\xa3", b":"),
    *(b"\xe2\x82\xac", b"\xe2\x80\xa8", b"\xc2\x85", b"\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98"),
)
BREAKS = (b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n")
STREAMS = 10_000


def evaluate(script: str) -> Any:
    done = run_node("--input-type=module", "--eval", script)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("built")
def test_the_words_of_the_contract_and_the_defaults_are_the_same() -> None:
    script = """
      import * as contract from './dist/contract.js'
      import {DEFAULTS} from './dist/decisions.js'
      import {MAX_RETRY_MS} from './dist/parser.js'
      console.log(JSON.stringify([contract, DEFAULTS, MAX_RETRY_MS]))
    """
    contract, defaults, max_retry_ms = evaluate(script)
    assert {**contract, "RESERVED": sorted(contract["RESERVED"])} == CONTRACT
    assert max_retry_ms == MAX_RETRY_MS
    settings = Settings()
    mine = {
        re.sub("_(.)", lambda m: m[1].upper(), name): getattr(settings, name)
        for name in Settings.__slots__
    }
    assert defaults == {k: None if v == math.inf else v for k, v in mine.items()}


def test_the_package_has_the_version_of_the_distribution() -> None:
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == __version__


@pytest.mark.usefixtures("built")
def test_both_parsers_read_random_bytes_split_anywhere_alike() -> None:
    source = random.Random(20_261_124)
    streams = [_random_chunks(source) for _ in range(STREAMS)]
    feed = "\n".join(
        json.dumps([base64.b64encode(chunk).decode() for chunk in chunks]) for chunks in streams
    )
    done = run_node("scripts/decode.mjs", feed=feed)
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
    assert len(theirs) == STREAMS
    events = 0
    for chunks, their in zip(streams, theirs, strict=True):
        mine = _decoded(chunks)
        assert their == mine, chunks
        events += sum("data" in item for item in their["items"])
    assert events > STREAMS / 2, "the fragments no longer make events"


def _random_chunks(source: random.Random) -> list[bytes]:
    parts = [b"\xef\xbb\xbf" * source.choice((0, 0, 1, 2))]
    for _ in range(source.randrange(15)):
        separator = source.choice((b":", b": ", b": ", b""))
        parts += [source.choice(FIELDS), separator, source.choice(VALUES), source.choice(BREAKS)]
        if source.random() < 0.1:
            parts.append(source.randbytes(source.randrange(6)))
    whole = b"".join(parts)
    cuts = sorted(source.randrange(len(whole) + 1) for _ in range(source.randrange(8)))
    return [whole[a:b] for a, b in itertools.pairwise([0, *cuts, len(whole)])]


def _decoded(chunks: list[bytes]) -> dict[str, object]:
    decoder = Decoder()
    items: list[dict[str, object]] = []
    for chunk in chunks:
        for item in decoder.feed(chunk):
            if isinstance(item, Event):
                items.append({"type": item.type, "data": item.data, "lastEventId": item.id})
            elif isinstance(item, Comment):
                items.append({"comment": item.text})
            else:
                items.append({"retryMs": item.ms})
    return {"items": items, "lastEventId": decoder.last_event_id}
