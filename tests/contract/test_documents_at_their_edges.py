"""Documents between programs: the largest and smallest values, and the errors for the next ones."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from tidegate.contract import names
from tidegate.contract.acknowledge import (
    MAX_ID_LENGTH,
    acknowledgement_json,
    read_acknowledgement,
)
from tidegate.contract.errors import (
    BackplaneUnavailableError,
    CallerError,
    DocumentError,
    SettingsError,
    TidegateError,
)
from tidegate.contract.fields import MOST_INTEGER, Fields
from tidegate.contract.report import (
    MAX_PROBLEM_LENGTH,
    MOST_AGE_S,
    MOST_RATE_PER_S,
    MOST_RETRY_MS,
    MOST_STREAMS,
    Answer,
    Plan,
    Report,
)
from tidegate.contract.stream_events import Connected, Gap, Shutdown, is_reserved

LEAST = Report("u", 0, 0, 0, 0, "starting", 0, 0.0, "v")
MOST = Report(
    "u" * 253, MOST_INTEGER, MOST_STREAMS, MOST_INTEGER, MOST_INTEGER, "stopping", MOST_INTEGER,
    MOST_RATE_PER_S, "v" * 64, MOST_AGE_S, MOST_AGE_S, "d" * 64, "p" * MAX_PROBLEM_LENGTH,
)  # fmt: skip
PLAN = Plan("shed", 0.0, 0.0, 0, 1, 0.0, 0.0)


def wire(document: dict[str, Any]) -> Any:
    return json.loads(json.dumps(document))


@pytest.mark.parametrize("report", [LEAST, MOST])
def test_a_report_comes_back_as_it_was_sent(report: Report) -> None:
    assert Report.from_json(wire(report.to_json())) == report


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, False, None, 0.01),
        Answer(MOST_INTEGER, True, PLAN, 3600.0),
        Answer(1, True, Plan("drain", 1e12, 1e12, MOST_INTEGER, MOST_RETRY_MS, 1e12, 1e12)),
        Answer(1, True, Plan("wait")),
    ],
)
def test_an_answer_comes_back_as_it_was_sent(answer: Answer) -> None:
    assert Answer.from_json(wire(answer.to_json())) == answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uid", "u" * 254),
        ("uid", None),
        ("streams", MOST_STREAMS + 1),
        ("streams", -1),
        ("streams", True),
        ("streams", 1.0),
        ("seq", MOST_INTEGER + 1),
        ("state", "lost"),
        ("rate_limit_per_s", MOST_RATE_PER_S * 1.1),
        ("rate_limit_per_s", False),
        ("version", "v" * 65),
        ("drain_started_s", -0.1),
        ("deadline_in_s", MOST_AGE_S * 1.1),
        ("degraded", "d" * 65),
        ("problem", "p" * (MAX_PROBLEM_LENGTH + 1)),
        pytest.param("problem", "\ud800", id="surrogate"),
        ("schema", names.SCHEMA_VERSION + 1),
    ],
)
def test_a_report_beyond_its_edges_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(DocumentError) as caught:
        Report.from_json({**LEAST.to_json(), field: value})
    assert (caught.value.document, caught.value.field) == ("report", field)
    assert str(caught.value).startswith(f"report: {field}: ")


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        ("plan", "kind", "stop"),
        ("plan", "count", -1),
        ("plan", "count", 0.5),
        ("plan", "retry_ms", 0),
        ("plan", "retry_ms", MOST_RETRY_MS + 1),
        ("plan", "rate_per_s", -1),
        ("plan", "start_in_s", -0.1),
        ("plan", "valid_for_s", -0.1),
        ("plan", "deadline_in_s", -0.1),
        ("answer", "seq", -1),
        ("answer", "admitted", 1),
        ("answer", "report_every_s", 0.009),
        ("answer", "report_every_s", 3601),
    ],
)
def test_an_answer_beyond_its_edges_is_refused_by_field(
    document: str, field: str, value: object
) -> None:
    answer = Answer(1, True, PLAN).to_json()
    target = answer["plan"] if document == "plan" else answer
    target[field] = value
    with pytest.raises(DocumentError) as caught:
        Answer.from_json(answer)
    assert (caught.value.document, caught.value.field) == (document, field)


@pytest.mark.parametrize("optional", ["count", "deadline_in_s"])
def test_an_optional_field_may_be_null_or_absent(optional: str) -> None:
    document = {**PLAN.to_json(), optional: None}
    assert getattr(Plan.from_json(document), optional) is None
    del document[optional]
    assert getattr(Plan.from_json(document), optional) is None


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_a_document_that_is_no_object_is_refused_as_a_whole(value: object) -> None:
    for read in (Report.from_json, Answer.from_json, Plan.from_json):
        with pytest.raises(DocumentError) as caught:
            read(value)
        assert caught.value.field == ""


def test_a_field_error_gives_the_range() -> None:
    fields = Fields("thing", {"n": 7, "t": "abc"})
    with pytest.raises(DocumentError, match=r"^thing: n: must be a number from 0 to 5\.5$"):
        fields.number("n", most=5.5)
    with pytest.raises(DocumentError, match=r"^thing: n: must be a whole number from 8 to 9$"):
        fields.integer("n", least=8, most=9)
    with pytest.raises(DocumentError, match=r"^thing: t: must be at most 2 characters$"):
        fields.text("t", most=2)
    with pytest.raises(DocumentError, match=r"^thing: t: must be one of x, y$"):
        fields.text("t", ("x", "y"))
    assert (fields.text("t", most=3), fields.number("n", least=7, most=7)) == ("abc", 7.0)
    assert isinstance(fields.number("n"), float)


@pytest.mark.parametrize("event_id", ["1", "x" * MAX_ID_LENGTH])
def test_an_acknowledgement_is_read_as_it_was_written(event_id: str) -> None:
    assert read_acknowledgement(acknowledgement_json(event_id).encode()) == event_id


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (json.dumps({"id": "x" * (MAX_ID_LENGTH + 1)}).encode(), "bad_id", "id"),
        (b'{"id":""}', "bad_id", "id"),
        (b'{"id":1}', "bad_id", "id"),
        (b"{}", "missing_field", "id"),
        (b'{"id":"1","b":1,"a":1}', "unknown_field", "a"),
        (b"[]", "bad_json", None),
        (b"{", "bad_json", None),
        pytest.param(b"[" * 100_000, "bad_json", None, id="deep"),
    ],
)
def test_an_acknowledgement_that_cannot_be_one_is_refused_by_field(
    body: bytes, code: str, field: str | None
) -> None:
    with pytest.raises(CallerError) as caught:
        read_acknowledgement(body)
    assert (caught.value.code, caught.value.field, caught.value.status) == (code, field, 400)


@pytest.mark.parametrize(
    ("text", "client", "topic", "stream"),
    [
        ("a", True, True, True),
        ("x" * 64, True, True, True),
        ("x" * 65, True, True, False),
        ("x" * 128, True, True, False),
        ("x" * 129, False, False, False),
        ("", False, False, False),
        ("a/b", False, True, False),
        ("/a", False, False, False),
        ("a@b.c:~-_", True, True, False),
        (".", False, True, True),
        ("..", False, True, True),
        ("...", True, True, True),
        ("ä", False, False, False),
        ("a\n", False, False, False),
    ],
)
def test_a_text_may_name_a_client_a_topic_or_a_stream(
    text: str, client: bool, topic: bool, stream: bool
) -> None:
    found = names.is_client_id(text), names.is_topic(text), names.is_stream_name(text)
    assert found == (client, topic, stream)


def test_the_servers_own_events_are_reserved() -> None:
    for name in ("connected", "gap", "cursor", "shutdown", "open", "error", "tidegate.later"):
        assert is_reserved(name)
    assert not any(is_reserved(name) for name in ("news", "tidegate", "Connected", "x.tidegate.y"))


def test_the_servers_own_events_have_their_fields_on_the_wire() -> None:
    assert Gap("1-2", "1-9", "lagged").to_json() == {"from": "1-2", "to": "1-9", "reason": "lagged"}
    assert Shutdown("drain", 5, 0).to_json() == {
        "reason": "drain", "reconnect_after_ms": 5, "deadline_ms": 0,
    }  # fmt: skip
    assert Connected("p", "s", 1, 2, replay=False).to_json() == {
        "pod": "p", "stream": "s", "heartbeat_ms": 1, "spread_ms": 2, "replay": False,
        "handover": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        CallerError("code", "detail", "field", status=413),
        SettingsError("NAME", "must be"),
        SettingsError.of([("A", "is bad"), ("B", "is worse")]),
        DocumentError("report", "seq", "must be"),
        BackplaneUnavailableError("away", 2.5),
    ],
)
def test_an_error_survives_pickling_with_its_fields(error: TidegateError) -> None:
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is type(error)
    assert (str(restored), vars(restored)) == (str(error), vars(error))


def test_an_error_of_several_settings_has_a_line_for_each() -> None:
    error = SettingsError.of([("A", "is bad"), ("B", "is worse")])
    assert (str(error), error.name) == ("A: is bad\nB: is worse", "A")


def test_a_callers_error_repeats_a_bounded_part_of_the_field_and_can_be_sent() -> None:
    document = CallerError("c", "d \ud800", "x" * 1000).to_json()
    assert document == {"error": "c", "detail": "d \\ud800", "field": "x" * 256}
    json.dumps(document, ensure_ascii=False).encode()
    assert CallerError("c", "d").to_json()["field"] is None
