"""Clients that vanish without a word: every packet of theirs is dropped, in a network namespace.

Each case runs in a process of its own in a new namespace (Linux, root), which ends with it.
"""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

NEEDED = ("unshare", "ip", "iptables")


def missing() -> str:
    """Why these tests cannot run here, empty where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "dropping packets in a network namespace needs Linux and root"
    absent = [program for program in NEEDED if shutil.which(program) is None]
    if absent:
        return f"apt-get install util-linux iproute2 iptables: missing {', '.join(absent)}"
    tried = subprocess.run(["unshare", "--net", "iptables", "-L"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no iptables in a network namespace on this kernel"


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "can run")

FRAME = """
import asyncio, contextlib, json, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
import uvloop
from engine.enginekit import serving, until
from tidegate.contract.stream_settings import Limits, StreamSettings

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

def vanish(served, client):
    port = str(client.writer.get_extra_info("sockname")[1])
    rule = ["-p", "tcp", "--sport", port, "--dport", str(served.port), "-j", "DROP"]
    subprocess.run(["iptables", "-A", "INPUT", *rule], check=True)

async def attempt(served):
    client = await served.get("/sse/subscribe/42")
    await until(lambda: client.status and (client.status != 200 or client.events))
    shutdown = client.of("shutdown")
    if client.status == 200:
        return json.loads(shutdown[0].data)["reason"] if shutdown else "accepted"
    return client.status

async def main():
CASE
uvloop.run(main())
"""

ENDED = """
    settings = StreamSettings(write_timeout_s=2.0, heartbeat_s=0.5)
    async with serving(settings) as served:
        gone = await served.stream("/events")
        there = await served.stream("/events")
        vanish(served, gone)
        began = time.monotonic()
        # Heartbeats go on, so that there is always something that is not acknowledged.
        await until(lambda: served.engine.ended_total, 40.0)
        took = time.monotonic() - began
        found = {"ended": served.engine.ended_total, "open": served.engine.open_count}
        print(json.dumps(found | {"took_s": took, "there": there.ended}))
"""

GHOSTS = """
    settings = StreamSettings(write_timeout_s=600.0, heartbeat_s=600.0)
    async with serving(settings, Limits(max_streams_per_client=2)) as served:
        for _ in range(2):
            vanish(served, await served.stream("/sse/subscribe/42"))
        answers = []
        async with asyncio.timeout(40.0):
            while "accepted" not in answers:
                answers.append(await attempt(served))
                await asyncio.sleep(0.5)
        # The next holds the second place; with two that are there, the one after is too many.
        answers.append(await attempt(served))
        too_many = await attempt(served)
        print(json.dumps({"answers": answers, "then": too_many}))
"""


def run_case(case: str) -> dict[str, Any]:
    tests = next(path for path in sys.path if path.endswith("/tests"))
    script = FRAME.replace("CASE", case)
    command = ["unshare", "--net", sys.executable, "-c", script, tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_vanished_client_is_noticed_within_about_the_write_timeout() -> None:
    found = run_case(ENDED)
    assert found["ended"] == {"dead": 1}
    assert (found["open"], found["there"]) == (1, False)
    # The kernel alone would go on for a quarter of an hour.
    assert found["took_s"] >= 2.0


def test_a_client_is_not_refused_for_its_own_ghosts() -> None:
    found = run_case(GHOSTS)
    assert 429 not in found["answers"]
    assert set(found["answers"]) <= {"overloaded", "accepted"}
    assert found["answers"].count("accepted") == 2
    assert found["then"] == 429
