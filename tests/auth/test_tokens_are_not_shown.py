"""A token appears nowhere: not in logs, `/status`, `/metrics`, errors or answers."""

from __future__ import annotations

from pathlib import Path

from kit.issuer import SETTINGS, Issuer
from kit.sidecar_process import SidecarProcess

PATH = "/sse/subscribe/42"


async def test_good_or_bad_and_wherever_it_was_sent(tmp_path: Path) -> None:
    issuer = Issuer()
    good = issuer.token()
    bad = good[:-4] + "AAAA"
    topics = issuer.token({"tidegate": {"subscribe": ["news"]}})
    expired = issuer.token({"exp": 1_700_000_000, "iat": 1_699_999_000})
    tokens = (good, bad, topics, expired)
    settings = {**SETTINGS, "TIDEGATE_AUTH_KEYS": issuer.write(tmp_path)}
    settings |= {"TIDEGATE_LOG_LEVEL": "debug", "TIDEGATE_AUTH_QUERY": "on"}
    shown = ""
    async with SidecarProcess(**settings) as sidecar:
        await sidecar.until_ready()
        for token in tokens:
            for path in (PATH, "/events", f"{PATH}/ack", "/nothing", "/sse/subscribe/7"):
                for headers, query in (
                    ({"Authorization": f"Bearer {token}"}, "?topic=other"),
                    ({"Cookie": f"__Secure-tidegate={token}"}, "?topic=other"),
                    ({}, f"?access_token={token}&topic=other&stream=s"),
                    ({}, f"?topic=other&access%5Ftoken={token}&topic="),
                ):
                    method = "POST" if path.endswith("/ack") else "GET"
                    url = sidecar.url("public", path + query)
                    answer = await sidecar.http.request(method, url, headers=headers)
                    assert answer.status_code in (400, 401, 403, 404), (path, query)
                    shown += answer.text + str(answer.headers)
        for page in ("/status", "/metrics", "/readyz"):
            shown += (await sidecar.get("admin", page)).text
        sidecar.signal()
        await sidecar.exit_status()
        shown += (await sidecar.stderr.read()).decode()
    signatures = {token.rpartition(".")[2] for token in tokens}
    assert [part for part in signatures if part in shown] == []
    assert "stopped" in shown  # the logs are among it
