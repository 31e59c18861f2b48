"""Tokens to pods: reviewed for our audience, remembered for a while, held against live pods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.tokens import claims_of, pod_token
from operator_kube.fake_api import FakeApi

from tidegate_kubernetes.api import ApiError
from tidegate_operator.kube.identity import (
    KNOWN_S,
    REVIEWS,
    SUSPECT_AT_ONCE,
    SUSPECT_WAITING,
    Identities,
    Remembered,
    pod_uid_of,
    review_of,
)

UID = "authentication.kubernetes.io/pod-uid"


def reviewed(uid: str | None, audiences: tuple[str, ...] = ("tidegate.dev",)) -> dict[str, Any]:
    extra = {} if uid is None else {UID: [uid]}
    user = {"username": "system:serviceaccount:a:b", "extra": extra}
    return {"status": {"authenticated": True, "audiences": list(audiences), "user": user}}


POD = pod_token("pod-1")


class Desk:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.alive = {"pod-1", "pod-2"}
        self.api = FakeApi()
        self.api.answers[REVIEWS] = self.review
        self.identities = Identities(self.api, self.alive.__contains__, lambda: self.now_s)

    def review(self, body: dict[str, Any]) -> dict[str, Any]:
        uid, signature = claims_of(body["spec"]["token"])
        return reviewed(uid) if signature.startswith("good") else {"status": {}}


async def test_a_live_pods_token_is_reviewed_once_and_then_remembered() -> None:
    desk = Desk()
    for _ in range(3):
        assert await desk.identities.identify(POD) == "pod-1"
    assert len(desk.api.calls) == 1
    desk.now_s = KNOWN_S
    assert await desk.identities.identify(POD) == "pod-1"
    assert len(desk.api.calls) == 2


async def test_a_pod_that_has_gone_is_nobody_though_its_token_still_passes() -> None:
    desk = Desk()
    assert await desk.identities.identify(POD) == "pod-1"
    desk.alive.clear()
    assert await desk.identities.identify(POD) is None
    assert len(desk.api.calls) == 1


async def test_many_reports_at_once_ask_once() -> None:
    desk = Desk()
    found = await asyncio.gather(*[desk.identities.identify(POD) for _ in range(20)])
    assert set(found) == {"pod-1"}
    assert len(desk.api.calls) == 1


async def test_a_forged_token_is_of_no_pod() -> None:
    desk = Desk()
    for _ in range(5):
        assert await desk.identities.identify(pod_token("pod-1", "forged")) is None
    assert len(desk.api.calls) == 1


@pytest.mark.parametrize(
    "token",
    [
        "",
        "stranger",
        "a.b.c",
        "a." + "W1tbW1tb" * 500 + ".c",
        "é.é.é",
        pod_token("pod-1", audience="https://kubernetes.default.svc"),
        pod_token("pod-1", audience=None),
        pod_token("gone"),
        pod_token(["pod-1"]),
        pod_token("pod-1", "x" * 9000),
    ],
    ids=lambda token: token[:8],
)
async def test_what_claims_to_be_of_no_live_pod_is_not_reviewed(token: str) -> None:
    desk = Desk()
    assert await desk.identities.identify(token) is None
    assert desk.api.calls == []


async def test_a_flood_of_forged_tokens_makes_no_good_pod_wait() -> None:
    desk = Desk()
    assert await desk.identities.identify(POD) == "pod-1"
    assert await desk.identities.identify(pod_token("pod-1", "forged")) is None
    desk.api.delay_s = 0.02
    flood = [
        asyncio.create_task(desk.identities.identify(pod_token("pod-1", f"forged-{n}")))
        for n in range(6000)
    ]
    await asyncio.sleep(0)
    desk.now_s = KNOWN_S / 3
    assert await desk.identities.identify(POD) == "pod-1"
    before = len(desk.api.calls)
    assert await desk.identities.identify(pod_token("pod-2")) == "pod-2"
    assert len(desk.api.calls) - before <= 2 * (SUSPECT_AT_ONCE + 1)
    found = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(each, ApiError) for each in found) == 6000 - SUSPECT_WAITING
    assert len(desk.api.calls) <= SUSPECT_WAITING + 3


async def test_a_pod_that_is_forged_gets_its_next_token_reviewed_all_the_same() -> None:
    desk = Desk()
    assert await desk.identities.identify(pod_token("pod-1", "forged")) is None
    assert await desk.identities.identify(pod_token("pod-1", "good-renewed")) == "pod-1"


async def test_what_is_remembered_is_bounded() -> None:
    remembered = Remembered[int](10, lambda: 0.0)
    for number in range(100):
        remembered.put(b"%d" % number, number, 1.0)
    assert [number for number in range(100) if b"%d" % number in remembered] == [*range(90, 100)]


async def test_without_the_api_server_known_tokens_are_believed_and_new_ones_are_an_error() -> None:
    desk = Desk()
    assert await desk.identities.identify(POD) == "pod-1"

    def refuse(method: str, path: str) -> None:
        raise ApiError(0, "no answer")

    desk.api.refuse = refuse
    desk.now_s = 2 * KNOWN_S
    assert await desk.identities.identify(POD) == "pod-1"
    with pytest.raises(ApiError):
        await desk.identities.identify(pod_token("pod-2"))


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
