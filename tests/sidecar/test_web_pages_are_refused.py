"""Loopback is no authentication: web pages on the same machine reach it, and are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from kit.sidecar_process import SidecarProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = '{"to": "all", "data": "x"}'
FORM = {"content-type": "application/x-www-form-urlencoded"}
FOREIGN = [
    ({"host": "evil.example"}, "foreign_host"),  # DNS rebinding: its name, our address
    ({"host": "localhost.evil.example:9191"}, "foreign_host"),
    ({"host": "10.0.0.1:9191"}, "foreign_host"),
    ({"host": "[::1"}, "foreign_host"),
    ({"origin": "https://evil.example"}, "foreign_origin"),
    ({"origin": "http://localhost:3000"}, "foreign_origin"),
    ({"origin": "null"}, "foreign_origin"),
    ({"sec-fetch-site": "cross-site"}, "foreign_origin"),
    ({"sec-fetch-site": "same-site"}, "foreign_origin"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sidecar() -> AsyncIterator[SidecarProcess]:
    async with SidecarProcess() as sidecar:
        await sidecar.until_ready()
        yield sidecar


@pytest.mark.parametrize(("headers", "error"), FOREIGN)
@pytest.mark.parametrize(
    ("method", "port", "path"),
    [
        ("POST", "publish", "/publish"),
        ("GET", "publish", "/clients"),
        ("GET", "publish", "/clients/42"),
        ("DELETE", "publish", "/clients/42"),
        ("POST", "admin", "/drain/pod"),
        ("GET", "admin", "/drain/pod"),
        ("GET", "admin", "/status"),
        ("GET", "admin", "/metrics"),
    ],
)
async def test_a_page_can_neither_publish_nor_list_nor_end_nor_drain_nor_look(
    sidecar: SidecarProcess, method: str, port: str, path: str, headers: dict[str, str], error: str
) -> None:
    answer = await _ask(sidecar, method, port, path, headers)
    assert (answer.status_code, answer.json()["error"]) == (403, error)
    assert (await sidecar.status())["state"] == "ready"


@pytest.mark.parametrize("kind", ["text/plain", "Text/Plain;charset=UTF-8", "multipart/form-data"])
async def test_a_body_as_pages_send_it_is_refused(sidecar: SidecarProcess, kind: str) -> None:
    answer = await _ask(sidecar, "POST", "publish", "/publish", {"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (415, "bad_content_type")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        FORM,  # curl -d
        {"content-type": "application/json"},
        {"host": "localhost:9191"},
        {"host": "LOCALHOST"},
        {"host": "[::1]:9191"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_programs_publish(sidecar: SidecarProcess, headers: dict[str, str]) -> None:
    assert (await _ask(sidecar, "POST", "publish", "/publish", headers)).status_code == 202


async def test_without_a_token_draining_is_a_post(sidecar: SidecarProcess) -> None:
    answer = await sidecar.get("admin", "/drain/pod")
    assert (answer.status_code, answer.json()["error"]) == (405, "bad_method")
    assert "POST" in answer.json()["detail"]


@pytest.mark.parametrize("port", ["public", "admin", "publish"])
@pytest.mark.parametrize(
    "path", ["/clients/", "/publish/", "//evil.example/", "/events/", "/a/../b/"]
)
async def test_no_answer_redirects_to_the_host_it_was_asked_by(
    sidecar: SidecarProcess, port: str, path: str
) -> None:
    answer = await _ask(sidecar, "GET", port, path, {"host": "evil.example"})
    assert not 300 <= answer.status_code < 400
    assert "location" not in answer.headers
    assert b"evil.example:" not in answer.content


async def test_probes_are_answered_by_any_name(sidecar: SidecarProcess) -> None:
    for path in ("/livez", "/readyz"):
        answer = await _ask(sidecar, "GET", "admin", path, {"host": "shop.internal"})
        assert answer.status_code == 200


async def test_on_the_pod_network_the_admin_port_is_asked_by_any_name() -> None:
    async with SidecarProcess(TIDEGATE_ADMIN_HOST="0.0.0.0") as sidecar:
        for path in ("/status", "/metrics"):
            answer = await _ask(sidecar, "GET", "admin", path, {"host": "shop-7d9c.shop:9190"})
            assert answer.status_code == 200


async def test_the_admin_port_listens_on_loopback_unless_told_otherwise() -> None:
    everywhere = "0.0.0.0"
    async with SidecarProcess(TIDEGATE_HOST=everywhere) as sidecar:
        listening = _sockets(sidecar.process.pid)
        port = f"{sidecar.listening['admin']:04X}"
        assert f"0100007F:{port}" in listening
        assert f"00000000:{port}" not in listening


def _sockets(pid: int) -> list[str]:
    """The words of /proc/PID/net/tcp: addresses in hexadecimal among them."""
    return Path(f"/proc/{pid}/net/tcp").read_text().split()


async def _ask(
    sidecar: SidecarProcess, method: str, port: str, path: str, headers: dict[str, str]
) -> httpx2.Response:
    body = EVENT if method == "POST" else None
    return await sidecar.http.request(
        method, sidecar.url(port, path), content=body, headers=headers, follow_redirects=False
    )
