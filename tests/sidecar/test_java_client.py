"""A JDK's HttpClient, which offers HTTP/2 by an upgrade with every request, on all three ports."""

import asyncio
import shutil
from pathlib import Path

import pytest
from kit.sidecar_process import SidecarProcess

PROGRAM = Path(__file__).parent / "OfferUpgrade.java"


@pytest.mark.skipif(shutil.which("javac") is None, reason="apt-get install default-jdk-headless")
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_every_port_serves_a_jdk_client_that_offers_an_upgrade(loop: str) -> None:
    settings = {"TIDEGATE_GRACE_S": "4", "TIDEGATE_RESERVE_S": "1", "TIDEGATE_LINGER_S": "0"}
    async with SidecarProcess(loop, **settings) as sidecar:
        await sidecar.until_ready()
        bases = [sidecar.url(port, "") for port in ("public", "publish", "admin")]
        java = await asyncio.create_subprocess_exec(
            "java", str(PROGRAM), *bases,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(100):
            out, errors = await java.communicate()
        assert java.returncode == 0, errors.decode()
        assert out.decode().splitlines() == [
            "stream 200",
            *["publish 202"] * 3,
            "acknowledge 204",
            "drain 200",
            "events 3",
            "shutdown true",
        ]
