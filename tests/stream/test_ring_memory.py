"""The ring's bound in bytes is a bound on memory, whatever its events are like."""

import json
import subprocess
import sys

import pytest

from tidegate.contract.publish import To
from tidegate.stream.log import EventLog, LogEntry

BOUND_BYTES = 8 << 20

FILL = """
import json, random, sys
from tidegate.contract.publish import To
from tidegate.stream.log import EventLog, LogEntry

def rss_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

kind, bound = sys.argv[1], int(sys.argv[2])
pick = random.Random(1).randrange
audiences = {
    "many topics": lambda seq: To(topics=tuple({f"topic-{pick(5000)}" for _ in range(500)})),
    "topics of their own": lambda seq: To(topics=(f"topic-{seq}",)),
    "clients": lambda seq: To(client=f"client-{pick(20_000)}"),
    "everyone": lambda seq: To(everyone=True),
}
log = EventLog("e", max_events=10**9, max_bytes=bound)
before = rss_bytes()
seq = 0
while log.floor < 2 * max(1, len(log)):  # until all of it has been replaced twice
    seq += 1
    log.append(LogEntry(seq, audiences[kind](seq), "x" * 60))
print(json.dumps({"grown": rss_bytes() - before, "counted": log.bytes, "events": len(log)}))
"""


def fill(kind: str, bound: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", FILL, kind, str(bound)], capture_output=True, text=True, check=True
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
@pytest.mark.parametrize("kind", ["many topics", "topics of their own", "clients", "everyone"])
def test_a_process_grows_by_no_more_than_the_ring_counts(kind: str) -> None:
    found = fill(kind, BOUND_BYTES)
    assert 0.9 * BOUND_BYTES < found["counted"] <= BOUND_BYTES, "the ring was not filled"
    assert found["grown"] <= 1.25 * BOUND_BYTES


def test_an_event_larger_than_the_ring_leaves_nothing_in_it() -> None:
    log = EventLog("e", max_bytes=1 << 20)
    assert log.append(LogEntry(1, To(topics=tuple(f"{n}" for n in range(5000))), "x"))
    assert (len(log), log.bytes, log.floor, log.head) == (0, 0, 1, 1)
