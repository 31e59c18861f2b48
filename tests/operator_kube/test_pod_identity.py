"""Tokens to pods: reviewed for our audience, remembered for a while, held against live pods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from operator_kube.fake_api import FakeApi

from tidegate_kubernetes.api import ApiError
from tidegate_operator.kube.identity import KNOWN_S, REVIEWS, Identities, pod_uid_of, review_of

UID = "authentication.kubernetes.io/pod-uid"


def reviewed(uid: str | None, audiences: tuple[str, ...] = ("tidegate.dev",)) -> dict[str, Any]:
    extra = {} if uid is None else {UID: [uid]}
    user = {"username": "system:serviceaccount:a:b", "extra": extra}
    return {"status": {"authenticated": True, "audiences": list(audiences), "user": user}}


class Desk:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.alive = {"pod-1"}
        self.api = FakeApi()
        self.api.answers[REVIEWS] = self.review
        self.identities = Identities(self.api, self.alive.__contains__, lambda: self.now_s)

    def review(self, body: dict[str, Any]) -> dict[str, Any]:
        token = body["spec"]["token"]
        return reviewed(token) if token.startswith("pod") else {"status": {}}


async def test_a_live_pods_token_is_reviewed_once_and_then_remembered() -> None:
    desk = Desk()
    for _ in range(3):
        assert await desk.identities.identify("pod-1") == "pod-1"
    assert len(desk.api.calls) == 1
    desk.now_s = KNOWN_S
    assert await desk.identities.identify("pod-1") == "pod-1"
    assert len(desk.api.calls) == 2


async def test_a_pod_that_has_gone_is_nobody_though_its_token_still_passes() -> None:
    desk = Desk()
    assert await desk.identities.identify("pod-1") == "pod-1"
    desk.alive.clear()
    assert await desk.identities.identify("pod-1") is None
    assert len(desk.api.calls) == 1


async def test_many_reports_at_once_ask_once() -> None:
    desk = Desk()
    found = await asyncio.gather(*[desk.identities.identify("pod-1") for _ in range(20)])
    assert set(found) == {"pod-1"}
    assert len(desk.api.calls) == 1


async def test_nobodys_token_and_no_token() -> None:
    desk = Desk()
    assert await desk.identities.identify("stranger") is None
    assert await desk.identities.identify("") is None
    assert len(desk.api.calls) == 1


async def test_without_the_api_server_known_tokens_are_believed_and_new_ones_are_an_error() -> None:
    desk = Desk()
    assert await desk.identities.identify("pod-1") == "pod-1"

    def refuse(method: str, path: str) -> None:
        raise ApiError(0, "no answer")

    desk.api.refuse = refuse
    desk.now_s = 2 * KNOWN_S
    assert await desk.identities.identify("pod-1") == "pod-1"
    with pytest.raises(ApiError):
        await desk.identities.identify("pod-2")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": {"authenticated": False}},
        reviewed("x", audiences=()),
        reviewed("x", audiences=("https://kubernetes.default.svc",)),
        reviewed(None),
    ],
    ids=["empty", "refused", "audience unknown", "another audience", "no pod"],
)
def test_not_believed(answer: dict[str, Any]) -> None:
    assert pod_uid_of(answer) is None


def test_only_our_audience_is_asked_for() -> None:
    assert review_of("t")["spec"] == {"token": "t", "audiences": ["tidegate.dev"]}
