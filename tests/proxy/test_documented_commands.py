"""The commands of README.md and docs/proxy.md do what stands there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from pathlib import Path

from kit.ports import accepts, free_ports
from kit.waiting import until

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0


def commands(page: str) -> list[str]:
    """The indented lines of the page up to its drain."""
    lines = re.findall(r"^    (\S.*)$", (ROOT / page).read_text(), re.MULTILINE)
    ours = [i for i, line in enumerate(lines) if "tidegate proxy --upstream" in line]
    end = next(i for i in range(ours[0], len(lines)) if "/drain/pod" in lines[i])
    first = next((i for i, line in enumerate(lines) if "uvicorn fastapi_app" in line), ours[0])
    return lines[first : end + 1]


def test_the_readme_shows_the_commands_of_the_page() -> None:
    assert set(commands("README.md")) <= set(commands("docs/proxy.md"))


async def test_the_commands_run() -> None:
    application, public, admin = free_ports(3)
    ports = {"8000": application, "8080": public, "9190": admin}
    own = {"TIDEGATE_PUBLIC_PORT": str(public), "TIDEGATE_ADMIN_PORT": str(admin),
           "TIDEGATE_GRACE_S": "6", "TIDEGATE_LINGER_S": "0"}  # fmt: skip
    started: list[asyncio.subprocess.Process] = []

    async def start(command: str) -> asyncio.subprocess.Process:
        text = re.sub("8000|8080|9190", lambda found: str(ports[found[0]]), command)
        process = await asyncio.create_subprocess_shell(
            text, cwd=ROOT, env=os.environ | own, start_new_session=True,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    app, proxy, stream, answer, drain = commands("docs/proxy.md")
    try:
        await start(app)
        await start(proxy)
        await until(lambda: accepts(application), LIMIT_S)
        await until(lambda: accepts(public), LIMIT_S)
        finite = await start(answer)
        out, _ = await asyncio.wait_for(finite.communicate(), LIMIT_S)
        assert out.endswith(b"data: [DONE]\n\n")
        endless = await start(stream)
        assert endless.stdout is not None
        assert (await endless.stdout.readline()).startswith(b"retry: ")
        draining = await start(drain)
        out, _ = await asyncio.wait_for(endless.communicate(), LIMIT_S)
        assert b"event: shutdown\n" in out
        assert endless.returncode == 0
        out, _ = await asyncio.wait_for(draining.communicate(), LIMIT_S)
        assert json.loads(out) == {"state": "drained", "streams": 0}
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
