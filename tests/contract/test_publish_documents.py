"""The publish document: read as it was written, and every mistake refused with its field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.contract.errors import CallerError
from tidegate.contract.publish import MAX_KEY_LENGTH, MAX_TOPICS_PER_EVENT, Publish, To

MAX_BYTES = 10


def read(document: Any) -> Publish:
    return Publish.from_bytes(json.dumps(document).encode(), MAX_BYTES)


@pytest.mark.parametrize(
    "publish",
    [
        Publish(To(everyone=True), ""),
        Publish(To(client="x" * 128), "x" * MAX_BYTES, "e" * 128, "k" * MAX_KEY_LENGTH),
        Publish(To(topics=tuple(f"t{n}" for n in range(MAX_TOPICS_PER_EVENT))), "line\nline"),
        Publish(To(topics=("a/b",)), "ä" * (MAX_BYTES // 2), "news", "k"),
    ],
    ids=["least", "most", "topics", "two bytes a letter"],
)
def test_a_publish_comes_back_as_it_was_written(publish: Publish) -> None:
    assert read(publish.to_json()) == publish


def test_data_that_is_no_text_is_sent_as_compact_json() -> None:
    document = {"to": "all", "data": {"a": [1, "ä"]}}
    assert Publish.from_bytes(json.dumps(document).encode(), 100).data == '{"a":[1,"ä"]}'


def test_a_topic_that_is_named_twice_counts_once() -> None:
    assert read({"to": {"topics": ["a", "b", "a"]}, "data": "x"}).to.topics == ("a", "b")


@pytest.mark.parametrize(
    ("change", "code", "field", "status"),
    [
        ({"to": "some"}, "bad_to", "to", 400),
        ({"to": {}}, "bad_to", "to", 400),
        ({"to": {"client": "a", "topics": ["b"]}}, "bad_to", "to", 400),
        ({"to": {"client": "a/b"}}, "bad_client", "to.client", 400),
        ({"to": {"client": 1}}, "bad_client", "to.client", 400),
        ({"to": {"topics": []}}, "bad_topics", "to.topics", 400),
        ({"to": {"topics": "a"}}, "bad_topics", "to.topics", 400),
        ({"to": {"topics": ["a", "b c"]}}, "bad_topic", "to.topics", 400),
        ({"to": {"topics": ["a", 1]}}, "bad_topic", "to.topics", 400),
        ({"data": "x" * (MAX_BYTES + 1)}, "event_too_large", "data", 413),
        ({"data": "ä" * (MAX_BYTES // 2 + 1)}, "event_too_large", "data", 413),
        ({"event": ""}, "bad_event", "event", 400),
        ({"event": "e" * (MAX_KEY_LENGTH + 1)}, "bad_event", "event", 400),
        ({"event": "a\nb"}, "bad_event", "event", 400),
        ({"event": "a\0b"}, "bad_event", "event", 400),
        ({"event": 1}, "bad_event", "event", 400),
        ({"event": "gap"}, "reserved_event", "event", 400),
        ({"event": "tidegate.x"}, "reserved_event", "event", 400),
        ({"key": ""}, "bad_key", "key", 400),
        ({"key": "k" * (MAX_KEY_LENGTH + 1)}, "bad_key", "key", 400),
        ({"key": "\ud800"}, "bad_key", "key", 400),
        ({"data": "\ud800"}, "bad_text", "data", 400),
        ({"other": 1}, "unknown_field", "other", 400),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_a_mistake_is_refused_with_its_field(
    change: dict[str, Any], code: str, field: str, status: int
) -> None:
    with pytest.raises(CallerError) as caught:
        read({"to": "all", "data": "x", **change})
    assert (caught.value.code, caught.value.field, caught.value.status) == (code, field, status)


@pytest.mark.parametrize("missing", ["to", "data"])
def test_a_missing_field_is_named(missing: str) -> None:
    document = {"to": "all", "data": "x"}
    del document[missing]
    with pytest.raises(CallerError) as caught:
        read(document)
    assert (caught.value.code, caught.value.field) == ("missing_field", missing)


def test_more_topics_than_an_index_takes_are_refused() -> None:
    topics = [f"t{n}" for n in range(MAX_TOPICS_PER_EVENT + 1)]
    with pytest.raises(CallerError) as caught:
        read({"to": {"topics": topics}, "data": "x"})
    assert (caught.value.field, caught.value.status) == ("to.topics", 400)
