"""Every document of a peer has bounds: it is read, or refused with the field, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.documents import HOSTILE, spoilt

from tidegate.contract.acknowledge import MAX_ID_LENGTH, read_acknowledgement
from tidegate.contract.errors import CallerError, DocumentError
from tidegate.contract.publish import Publish, To
from tidegate.contract.report import Answer, Plan, Report
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import plan
from tidegate.rollout.resource import policy_of
from tidegate.rollout.snapshot import Pod, Policy, Snapshot, Workload

REPORT = Report("a", 1, 10, 10, 0, "draining", 0, 1000.0, "1", 1.0, 30.0, "backplane").to_json()
ANSWER = Answer(1, True, Plan("drain", 0.1, 40.0, 5, 750, 30.0), 0.25).to_json()
PUBLISH = Publish(To(topics=("a", "b")), "x", "news", "key").to_json()
SPEC = {
    "budgetPerSecond": 50,
    "windowSeconds": 60,
    "reserveSeconds": 5,
    "retryMilliseconds": 750,
    "steering": "Enabled",
    "rebalance": "Disabled",
    "flipLagMilliseconds": 1100,
    "flipIntervalMilliseconds": 1200,
}

FIELDS = [(REPORT, Report, key) for key in REPORT] + [(ANSWER, Answer, key) for key in ANSWER]


@pytest.mark.parametrize(
    "value",
    [10**400, -(10**400), math.inf, math.nan, "x" * 10**6, "\ud800"],
    ids=["huge", "least", "infinite", "none", "long", "surrogate"],
)
@pytest.mark.parametrize(("document", "kind", "key"), FIELDS)
def test_no_number_is_too_large_and_no_text_too_long(
    document: dict[str, object], kind: type[Report] | type[Answer], key: str, value: object
) -> None:
    with pytest.raises(DocumentError):
        kind.from_json({**document, key: value})


@given(spoilt(REPORT))
def test_a_report_that_is_read_can_be_planned_with(document: object) -> None:
    """Whatever its numbers, the pods beside it keep a plan."""
    try:
        report = Report.from_json(document)
    except DocumentError:
        return
    pods = (
        Pod("a", "a", "new", ready=True, report=report),
        Pod("b", "b", "old", ready=True, report=Report.from_json(REPORT)),
        Pod("c", "c", "old", ready=False, deleting=True, deadline_in_s=9.0, report=report),
    )
    memory = Memory()
    for now in (0.0, 0.1, 5.0):
        decision = plan(Snapshot((Workload("w", 2, "new", pods),)), Policy(), now, memory)
        memory = decision.memory
        for action in decision.actions:
            json.dumps(getattr(getattr(action, "plan", None), "kind", None))


@given(spoilt(ANSWER) | HOSTILE)
def test_an_answer_is_read_or_refused(document: object) -> None:
    with contextlib.suppress(DocumentError):
        Answer.from_json(document)


@given(spoilt(PUBLISH, {**PUBLISH, "to": "all"}, {**PUBLISH, "to": {"client": "42"}}) | HOSTILE)
def test_a_publish_is_read_or_refused(document: object) -> None:
    refused = _refusal(lambda: Publish.from_bytes(_body(document), 1000))
    assert len(json.dumps(refused)) < 10_000


@given(spoilt({"id": "e-1"}) | HOSTILE)
def test_an_acknowledgement_is_read_or_refused(document: object) -> None:
    refused = _refusal(lambda: read_acknowledgement(_body(document)))
    assert len(json.dumps(refused)) < 10_000


def test_an_id_has_a_length() -> None:
    assert read_acknowledgement(_body({"id": "x" * MAX_ID_LENGTH})) == "x" * MAX_ID_LENGTH
    with pytest.raises(CallerError, match="must be the id"):
        read_acknowledgement(_body({"id": "x" * (MAX_ID_LENGTH + 1)}))


@given(spoilt(SPEC))
def test_a_policy_is_read_or_refused(spec: dict[str, object]) -> None:
    with contextlib.suppress(DocumentError):
        policy_of(spec, Policy())


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_acknowledgement, lambda b: Publish.from_bytes(b, 1000)):
        with contextlib.suppress(CallerError):
            read(body)


def _refusal(read: Callable[[], object]) -> object:
    """The answer to what is refused, ``None`` where it is not."""
    try:
        read()
    except CallerError as error:
        return error.to_json()
    return None


def _body(document: object) -> bytes:
    return json.dumps(document).encode()
