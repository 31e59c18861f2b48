"""The recipes of docs/authentication.md, run against real sidecars."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from joserfc.jwk import ECKey
from kit.issuer import SETTINGS
from kit.sidecar_process import SidecarProcess
from kit.waiting import until

from tidegate_client import Lost, Opened, Settings, SseClient

DOCS = Path(__file__).parents[2] / "docs"


def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "fastapi_tokens", DOCS / "authentication" / "fastapi_tokens.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class App:
    """The recipe's application with a key whose public part is in `directory`."""

    def __init__(self, directory: Path, lifetime_s: float = 600.0) -> None:
        key = ECKey.generate_key("P-256", auto_kid=True)
        (directory / "public.json").write_text(json.dumps(key.as_dict(private=False)))
        self.settings = {**SETTINGS, "TIDEGATE_AUTH_KEYS": str(directory)}
        transport = httpx2.ASGITransport(recipe().create_app(key, lifetime_s))
        self.http = httpx2.AsyncClient(transport=transport, base_url="https://app")
        self.asked = 0

    async def token(self, user: str = "42") -> str:
        self.asked += 1
        answer = await self.http.post("/stream-token", headers={"X-User": user})
        return str(answer.json()["token"])

    async def headers(self, _: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.token()}"}


async def status_of(pod: SidecarProcess, path: str, headers: dict[str, str]) -> int:
    async with pod.http.stream("GET", pod.url("public", path), headers=headers) as answer:
        return answer.status_code


async def test_the_fastapi_recipe_opens_streams_by_header_and_by_cookie(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="no fastapi: run make install")
    app = App(tmp_path)
    assert (await app.http.post("/stream-token")).status_code == 401
    answer = await app.http.post("/stream-cookie", headers={"X-User": "42"})
    set_cookie = answer.headers["set-cookie"]
    assert all(word in set_cookie for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"))
    cookie = set_cookie.partition(";")[0]
    by_header = {"Authorization": f"Bearer {await app.token()}"}
    by_cookie = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    async with SidecarProcess(**app.settings) as pod:
        await pod.until_ready()
        for shown in (by_header, by_cookie):
            for path, status in (
                ("/sse/subscribe/42", 200),
                ("/sse/subscribe/42?topic=news&topic=orders/42/7", 200),
                ("/sse/subscribe/42?topic=orders/7/7", 403),
                ("/sse/subscribe/7", 403),
            ):
                assert await status_of(pod, path, shown) == status, path
        foreign = {"Cookie": cookie, "Origin": "https://evil.example"}
        assert await status_of(pod, "/sse/subscribe/42", foreign) == 403
    await app.http.aclose()


@pytest.mark.parametrize("handover", [True, False])
async def test_a_client_lives_through_its_tokens_and_loses_nothing(
    tmp_path: Path, handover: bool
) -> None:
    """Its `headers` are asked at each connection; nothing else is needed for a new token."""
    pytest.importorskip("fastapi", reason="no fastapi: run make install")
    app = App(tmp_path, lifetime_s=1.2)
    changes: list[Opened | Lost] = []
    seen: list[str] = []
    settings = {**app.settings, "TIDEGATE_RETRY_BASE_MS": "50"}
    async with SidecarProcess(**settings) as pod:
        await pod.until_ready()

        async def follow() -> None:
            client = SseClient(
                pod.url("public", "/sse/subscribe/42?topic=news"),
                headers=app.headers,
                settings=Settings(initial_delay_ms=20, handover=handover),
                on_change=changes.append,
            )
            async with client:
                async for event in client:
                    if event.type == "message":
                        seen.append(event.data)

        following = asyncio.create_task(follow())
        await pod.until_streams(1)
        sent = expired = 0
        while expired < 3:
            assert not following.done()
            if sent % 10 == 0:
                expired = (await pod.status())["ended_by_cause"].get("expired", 0)
            await pod.publish(str(sent), {"topics": ["news"]})
            sent += 1
            await asyncio.sleep(0.02)
        await until(lambda: len(seen) >= sent)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await app.http.aclose()
    assert seen == [str(number) for number in range(sent)]
    assert app.asked > 3
    lost = [change for change in changes if isinstance(change, Lost)]
    assert (lost == []) == handover, lost


def test_the_documented_commands_are_those_that_exist() -> None:
    text = (DOCS / "authentication.md").read_text()
    settings = (DOCS / "settings.md").read_text()
    for variable in set(re.findall(r"TIDEGATE_[A-Z_]+", text)):
        assert variable in settings, variable
    for key in set(re.findall(r"tidegate\.dev/([a-z-]+)", text)):
        assert f"`{key}`" in settings or f"tidegate.dev/{key}" in settings, key
