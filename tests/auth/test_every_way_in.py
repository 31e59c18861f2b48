"""The refusals of `refusals.json` through each way in: the same answer, whichever one is taken."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey
from kit.issuer import ISSUER, SETTINGS, Issuer
from kit.sidecar_process import SidecarProcess

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("refusals.json").read_text())
COOKIE = "__Secure-tidegate"
CHALLENGES = {
    "missing_token": "Bearer",
    "invalid_token": 'Bearer error="invalid_token"',
    "expired_token": 'Bearer error="invalid_token"',
    "insufficient_scope": 'Bearer error="insufficient_scope"',
    "wrong_subject": 'Bearer error="insufficient_scope"',
    "doubled_credential": 'Bearer error="invalid_request"',
}
"""By error; the others have none."""
WAYS = ("fast", "in pieces", "with a body", "HEAD", "acknowledge")


def claims_of(vector: dict[str, Any]) -> dict[str, Any]:
    now, claims = int(time.time()), padded(vector.get("claims", {}))
    if "ago_s" in vector:
        claims |= {"iat": now - vector["ago_s"], "exp": now - vector["ago_s"] + 600}
    if "ahead_s" in vector:
        claims["exp"] = now + vector["ahead_s"]
    for name in ("nbf", "iat"):
        if f"{name}_ahead_s" in vector:
            claims[name] = now + vector[f"{name}_ahead_s"]
    return claims


def padded(members: dict[str, Any]) -> dict[str, Any]:
    pad = {"pad": "x" * int(members["pad"])} if "pad" in members else {}
    return {**members, **pad}


def token_of(issuer: Issuer, stranger: Issuer, vector: dict[str, Any]) -> str:
    if "raw" in vector:
        return str(vector["raw"])
    alg = vector.get("alg", "HS256")
    if "header_text" in vector or "payload_text" in vector:
        head = vector.get("header_text", '{"alg":"HS256","kid":"h"}')
        return issuer.signed(head, vector.get("payload_text", "{}"), alg=alg)
    key = stranger.keys[alg] if vector.get("stranger") else None
    if vector.get("confused"):
        key = OctKey.import_key(issuer.keys["RS256"].as_dict(private=False)["n"])
    token = issuer.token(
        claims_of(vector), padded(vector.get("header", {})), alg=alg, sign_with=key
    )
    return respelled(token) if vector.get("respell") else token + vector.get("append", "")


def respelled(token: str) -> str:
    """Another last letter for the same last byte: two of its bits mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + letters[letters.index(token[-1]) ^ 1]


def request_of(vector: dict[str, Any], token: str, good: str, way: str) -> list[bytes]:
    path, query = vector.get("path", "/sse/subscribe/42"), vector.get("query", "")
    times = 2 if vector.get("twice") else 1
    headers = [f"{name}: {value}" for name, value in vector.get("headers", {}).items()]
    headers = [line.replace("GOOD", f"{COOKIE}={good}") for line in headers]
    place = vector.get("in", "header")
    if place == "header":
        headers += [f"Authorization: Bearer {token}"] * times
    elif place == "cookie":
        headers += ["Cookie: a=1; " + "; ".join([f"{COOKIE}={token}"] * times)]
    elif place == "query":
        query = "&".join([*filter(None, [query]), *[f"access_token={token}"] * times])
    method, body = ("HEAD" if way == "HEAD" else "GET"), b""
    if way == "acknowledge":
        method, body, path = "POST", b'{"id":"?"}', path + "/ack"
        query = "&".join(filter(None, [query, "stream=s"]))
        headers += ["Content-Type: application/json"]
        if place == "cookie" and "Origin" not in vector.get("headers", {}):
            headers += ["Origin: http://127.0.0.1"]
    if way == "with a body":
        body = b"x"
    if body:
        headers += [f"Content-Length: {len(body)}"]
    target = f"{path}?{query}" if query else path
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""])
    raw = head.encode() + body
    return [raw[:20], raw[20:]] if way == "in pieces" else [raw]


async def ask(port: int, parts: list[bytes]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and the beginning of the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if len(parts) > 1:
                await asyncio.sleep(0.002)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
        is_head = parts[0].startswith(b"HEAD")
        return int(first.split()[1]), headers, b"" if is_head else await reader.readexactly(length)
    finally:
        writer.close()


def problems(
    vector: dict[str, Any], way: str, status: int, headers: dict[str, str], body: bytes
) -> Iterator[str]:
    """How an answer differs from the one that is wanted."""
    wanted_status, error, field = vector["expect"]
    if way == "acknowledge" and wanted_status == 200:
        # Let in; but what it acknowledges is no id.
        wanted_status, error, field = 400, "bad_id", "id"
    if status != wanted_status:
        yield f"status {status}"
    if headers.get("www-authenticate") != CHALLENGES.get(error):
        yield f"challenge {headers.get('www-authenticate')}"
    if body:
        answer = json.loads(body)
        if (answer["error"], answer["field"]) != (error, field):
            yield f"{answer}"
    listed = vector.get("headers", {}).get("Origin") == "https://app.example"
    if (
        listed
        and "www-authenticate" not in headers.get("access-control-expose-headers", "").lower()
    ):
        yield "no CORS head"


@pytest.fixture(scope="module")
def issuers() -> tuple[Issuer, Issuer]:
    return Issuer(), Issuer()


async def test_each_way_in_gives_the_same_answers(
    tmp_path: Path, issuers: tuple[Issuer, Issuer]
) -> None:
    issuer, stranger = issuers
    settings = {
        **SETTINGS,
        "TIDEGATE_AUTH_KEYS": issuer.write(tmp_path / "keys"),
        "TIDEGATE_AUTH_ISSUER": ISSUER,
        "TIDEGATE_AUTH_QUERY": "on",
        "TIDEGATE_AUTH_PUBLIC_TOPICS": "open/**",
        "TIDEGATE_CORS_ORIGINS": "https://app.example",
    }
    wrong: list[str] = []
    async with SidecarProcess(**settings) as sidecar:
        await sidecar.until_ready()
        port, good = sidecar.listening["public"], issuer.token()
        for vector in VECTORS:
            token = token_of(issuer, stranger, vector)
            bodies: set[bytes] = set()
            for way in WAYS[: -1 if vector.get("streams_only") else None]:
                status, headers, body = await ask(port, request_of(vector, token, good, way))
                found = problems(vector, way, status, headers, body)
                wrong += [f"{vector['name']}, {way}: {problem}" for problem in found]
                if body and vector["expect"][0] != 200:
                    bodies.add(body)
            if len(bodies) > 1:
                wrong.append(f"{vector['name']}: different answers {bodies}")
    assert not wrong, "\n".join(wrong)
