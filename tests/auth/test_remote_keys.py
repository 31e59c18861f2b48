from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from kit.issuer import SETTINGS, Issuer
from kit.sidecar_process import SidecarProcess
from kit.waiting import until

from tidegate_sidecar.auth.fetching import MAX_BODY_BYTES, FetchError, fetch
from tidegate_sidecar.auth.jwks import GOOD_FOR_S, MAX_KEYS, RemoteKeys, read_jwks
from tidegate_sidecar.auth.keys import KeyProblem, VerifyingKey


def jwk(kid: str, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = ECKey.generate_key("P-256", {"kid": kid}).as_dict(private=False)
    return {**made, **members}


class Endpoint:
    """A JWKS server that answers what it is given."""

    def __init__(self) -> None:
        self.body = b""
        self.head = "HTTP/1.1 200 OK"
        self.asked = 0
        self.is_slow = False
        self.hold = asyncio.Event()

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Endpoint]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys?x=1"
        try:
            yield self
        finally:
            self.hold.set()
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self.request = await reader.readuntil(b"\r\n\r\n")
        if self.is_slow:
            await self.hold.wait()
        with contextlib.suppress(ConnectionError):
            length = f"Content-Length: {len(self.body)}\r\n\r\n"
            writer.write(f"{self.head}\r\n{length}".encode() + self.body)
            await writer.drain()
        writer.close()


async def test_the_document_is_fetched() -> None:
    async with Endpoint().serving() as endpoint:
        endpoint.publish()
        assert await fetch(endpoint.url, None) == b'{"keys": []}'
        assert endpoint.request.startswith(b"GET /keys?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda e: setattr(e, "head", "HTTP/1.1 500 No"), "status 500"),
        (lambda e: setattr(e, "head", "HTTP/1.1 302 Found\r\nLocation: /keys"), "status 302"),
        (lambda e: setattr(e, "head", "hello"), "."),
        (lambda e: setattr(e, "body", b"x" * (MAX_BODY_BYTES + 1)), "more than 65536 bytes"),
        (lambda e: setattr(e, "head", "HTTP/1.1 200 OK\r\nX: " + "x" * 200_000), "."),
        (lambda e: setattr(e, "is_slow", True), "no answer within"),
    ],
)
async def test_anything_else_is_an_error(
    break_it: Callable[[Endpoint], None], problem: str
) -> None:
    limit_s = 0.3 if problem.startswith("no answer") else 30.0
    async with Endpoint().serving() as endpoint:
        endpoint.publish()
        break_it(endpoint)
        with pytest.raises(FetchError, match=problem):
            await fetch(endpoint.url, None, limit_s)
        assert endpoint.asked == 1
    with pytest.raises(FetchError):
        await fetch(endpoint.url, None)


def test_only_keys_that_verify_signatures_are_taken() -> None:
    secret = OctKey.generate_key(256).as_dict(private=True)
    small = RSAKey.generate_key(2048).as_dict(private=False) | {"n": "AQAB"}
    listed: list[Any] = [jwk("a"), jwk("b", use="enc"), jwk("c", alg="RS256"), secret, small, 7]
    found = read_jwks(json.dumps({"keys": [*listed, {"kty": "new"}, jwk("d", use="sig")]}).encode())
    assert [key.kid for key in found] == ["a", "d"]


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[],"keys":[]}'),
        json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(),
    ],
)
def test_a_set_without_a_usable_key_is_a_problem(text: bytes) -> None:
    with pytest.raises(KeyProblem):
        read_jwks(text)


class Remote:
    def __init__(self, url: str) -> None:
        self.now = 0.0
        self.sets: list[list[str | None]] = []
        self.keys = RemoteKeys(url, None, self.take, lambda: self.now)

    def take(self, keys: tuple[VerifyingKey, ...]) -> None:
        self.sets.append([key.kid for key in keys])


async def test_the_last_good_set_serves_for_a_day() -> None:
    async with Endpoint().serving() as endpoint:
        remote = Remote(endpoint.url)
        assert not await remote.keys.refresh()
        assert not remote.keys.is_loaded
        endpoint.publish(jwk("a"))
        assert await remote.keys.refresh()
        assert remote.keys.is_loaded
        assert remote.sets == [["a"]]
        endpoint.body = b"broken"
        remote.now = GOOD_FOR_S
        assert not await remote.keys.refresh()
        assert remote.keys.is_loaded
        assert remote.keys.problem
        remote.now += 1
        await remote.keys.refresh()
        assert not remote.keys.is_loaded
        assert remote.sets == [["a"], []]


async def test_an_unknown_key_is_refused_only_by_a_set_fetched_later() -> None:
    async with Endpoint().serving() as endpoint:
        remote = Remote(endpoint.url)
        assert remote.keys.may_come("a")  # nothing is loaded: the pod's own state
        assert remote.keys.may_come(None)
        endpoint.publish(jwk("a"))
        await remote.keys.refresh()
        assert not remote.keys.may_come(None)
        remote.now = 10
        assert remote.keys.may_come("b")
        remote.now = 11
        await remote.keys.refresh()
        assert not remote.keys.may_come("b")
        assert remote.keys.may_come("c")


async def test_while_a_key_may_still_come_nobody_is_refused(tmp_path: Path) -> None:
    """Not ready before the first set; bounced, not refused, until a new key has been fetched."""
    issuer = Issuer()
    public = issuer.keys["ES256"].as_dict(private=False)
    token = issuer.token(alg="ES256")
    path = "/sse/subscribe/42"

    async def status_and_body(sidecar: SidecarProcess) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"}
        async with sidecar.http.stream(
            "GET", sidecar.url("public", path), headers=headers
        ) as answer:
            async for text in answer.aiter_text():
                return answer.status_code, text
        return answer.status_code, ""

    async with (
        Endpoint().serving() as endpoint,
        SidecarProcess(**SETTINGS, TIDEGATE_AUTH_JWKS_URL=endpoint.url) as sidecar,
    ):
        await until(lambda: endpoint.asked > 0)
        ready = await sidecar.get("admin", "/readyz")
        assert (ready.status_code, "keys are not loaded" in ready.text) == (503, True)
        status, text = await status_and_body(sidecar)
        assert (status, '"reason":"unavailable"' in text) == (200, True)
        endpoint.publish(public)
        await sidecar.until_ready()
        status, text = await status_and_body(sidecar)
        assert (status, "event: connected" in text) == (200, True)
        token = issuer.token(header={"kid": "next"}, alg="ES256")
        status, text = await status_and_body(sidecar)
        assert (status, '"reason":"unavailable"' in text) == (200, True)
        shown = (await sidecar.status())["auth"]
        assert (shown["jwks"]["loaded"], shown["problem"]) == (True, None)
        assert (
            "tidegate_auth_jwks_fetched_total 1.0" in (await sidecar.get("admin", "/metrics")).text
        )
