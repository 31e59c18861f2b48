"""CORS on the public port of a real process, beside the streams, and an unusable list."""

from __future__ import annotations

from kit.sidecar_process import SidecarProcess

SHOP = "https://shop.example"
FROM_SHOP = {"Origin": SHOP}


async def test_what_is_no_stream_is_readable_too_on_the_public_port_only() -> None:
    async with SidecarProcess(TIDEGATE_CORS_ORIGINS=SHOP) as sidecar:
        for path, status in (("/", 200), ("/event", 404)):
            answer = await sidecar.get("public", path, headers=FROM_SHOP)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == SHOP
            assert answer.headers["vary"] == "Origin"
        answer = await sidecar.get("admin", "/status", headers=FROM_SHOP)
        assert "access-control-allow-origin" not in answer.headers


async def test_preflights_are_answered_on_every_path_and_refused_ones_are_counted() -> None:
    async with SidecarProcess(TIDEGATE_CORS_ORIGINS=SHOP) as sidecar:
        asked = {"Access-Control-Request-Method": "GET"}
        for path in ("/", "/events", "/event"):
            url = sidecar.url("public", path)
            answer = await sidecar.http.options(url, headers=FROM_SHOP | asked)
            assert answer.status_code == 204
            answer = await sidecar.http.options(url, headers={"Origin": "https://x"} | asked)
            assert (answer.status_code, answer.json()["error"]) == (403, "origin_not_allowed")
        metrics = (await sidecar.get("admin", "/metrics")).text
        assert 'refused_total{error="origin_not_allowed",port="public"} 2.0' in metrics


async def test_a_list_that_could_never_match_stops_the_start() -> None:
    sidecar = SidecarProcess(TIDEGATE_CORS_ORIGINS="https://shop.example/")
    await sidecar.start()
    _, words = await sidecar.process.communicate()
    await sidecar.http.aclose()
    assert sidecar.process.returncode == 2
    [line] = words.decode().splitlines()
    assert line.startswith("tidegate sidecar: TIDEGATE_CORS_ORIGINS: must be * (every origin,")
    assert line.endswith("not 'https://shop.example/'")


async def test_a_listed_page_may_acknowledge_and_read_why_it_may_not() -> None:
    async with SidecarProcess(TIDEGATE_CORS_ORIGINS=SHOP) as sidecar:
        await sidecar.until_ready()
        url = sidecar.url("public", "/sse/subscribe/7/ack?stream=a")
        asked = {"Access-Control-Request-Method": "POST"}
        names = {"Access-Control-Request-Headers": "content-type"}
        preflight = await sidecar.http.options(url, headers=FROM_SHOP | asked | names)
        assert preflight.status_code == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"] == "content-type"
        answer = (await sidecar.publish("x")).json()
        good = await sidecar.http.post(url, headers=FROM_SHOP, json={"id": answer["id"]})
        bad = await sidecar.http.post(url, headers=FROM_SHOP, json={"id": 7})
        assert (good.is_success, bad.status_code) == (True, 400)
        for given in (good, bad):
            assert given.headers["access-control-allow-origin"] == SHOP
            assert given.headers["access-control-allow-credentials"] == "true"
